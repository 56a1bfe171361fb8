/**
 * How many of a machine fit. vCPUs are capped by the type's share of CPU, not counted against the host; memory is. On sim nothing is short.
 */
import type { Call } from "#cloud/call.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { raise } from "../../errors.ts"
import { instanceKind, type InstanceRecord } from "../record.ts"
import type { Machine } from "./place.ts"
import type { LaunchWish } from "./wish.ts"

/** Kept for the host itself and for what QEMU needs beside each guest's memory. */
const reserve = { hostMiB: 1024, perGuestMiB: 128 }

/** Between MinCount and MaxCount, as many as fit. Throws InsufficientInstanceCapacity below MinCount. */
export async function roomFor(call: Call, machine: Machine, wish: LaunchWish, zone: string): Promise<number> {
  const capacity = call.cloud.settings.capacity
  if (capacity === undefined) return wish.max
  if (machine.vcpus > capacity.cpus)
    throw insufficient(machine, zone, `it needs ${machine.vcpus} vCPUs and the host has ${capacity.cpus}`)
  const free = capacity.memoryMiB - reserve.hostMiB - (await memoryInUse(call))
  const fit = Math.floor(free / (machine.memoryMiB + reserve.perGuestMiB))
  if (fit < wish.min)
    throw insufficient(
      machine,
      zone,
      `${wish.min} of it need ${wish.min * machine.memoryMiB} MiB of memory and the host has ${Math.max(0, free)} MiB left`,
    )
  return Math.min(wish.max, fit)
}

/** Throws InsufficientInstanceCapacity if a stopped instance does not fit any more. */
export async function requireRoom(call: Call, instance: InstanceRecord): Promise<void> {
  const machine = {
    name: instance.type,
    vcpus: instance.vcpus,
    memoryMiB: instance.memoryMiB,
    architecture: instance.architecture,
  }
  await roomFor(call, machine, { min: 1, max: 1 } as LaunchWish, instance.zone)
}

function insufficient(machine: Machine, zone: string, why: string) {
  return raise("InsufficientInstanceCapacity", { type: machine.name, zone, why })
}

async function memoryInUse(call: Call): Promise<number> {
  let sum = 0
  let after: number | undefined
  do {
    const page = await call.store.query({
      kind: instanceKind.name,
      accounts: [],
      regions: [],
      facets: [{ name: "instance-state-name", values: ["pending", "running", "stopping", "shutting-down"] }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    for (const stored of page.items) sum += fromStored<InstanceRecord>(stored).record.memoryMiB + reserve.perGuestMiB
    after = page.next
  } while (after !== undefined)
  return sum
}
