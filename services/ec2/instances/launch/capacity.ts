/**
 * How many of a machine may run, and fit. vCPUs are capped by the type's share of CPU, not counted against the host; memory is, and so is what
 * capacity reservations and Dedicated Hosts hold of it. On sim nothing is short.
 */
import type { Call } from "#cloud/call.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { unusedSeats } from "../../capacity-reservations/seats.ts"
import { heldByHosts } from "../../dedicated-hosts/room.ts"
import { raise } from "../../errors.ts"
import { instanceKind, type InstanceRecord, type InstanceState } from "../record.ts"
import { quotaOf, vcpuLimitOf } from "../../quotas.ts"
import type { Machine } from "./place.ts"
import type { LaunchWish } from "./wish.ts"

/** Kept for the host itself and for what QEMU needs beside each guest's memory. */
export const reserve = { hostMiB: 1024, perGuestMiB: 128 }

type Counts = Pick<LaunchWish, "min" | "max">

/**
 * Between MinCount and MaxCount, as many as may run and fit. Throws VcpuLimitExceeded or InsufficientInstanceCapacity below MinCount.
 * `seats`: so many have room in capacity reservations. `also` are instances without such room that the same call starts.
 */
export async function roomFor(
  call: Call,
  machine: Machine,
  wish: Counts,
  zone: string,
  seats = 0,
  also: readonly InstanceRecord[] = [],
): Promise<number> {
  const max = await withinQuota(call, machine, wish, seats, also)
  return roomOnHost(call, machine, { min: wish.min, max }, zone, seats, also)
}

async function roomOnHost(
  call: Call,
  machine: Machine,
  wish: Counts,
  zone: string,
  seats: number,
  also: readonly InstanceRecord[],
): Promise<number> {
  const capacity = call.cloud.settings.capacity
  if (capacity === undefined) return wish.max
  if (machine.vcpus > capacity.cpus)
    throw insufficient(machine, zone, `it needs ${machine.vcpus} vCPUs and the host has ${capacity.cpus}`)
  const reserved = await memoryReserved(call)
  const free = capacity.memoryMiB - reserve.hostMiB - (await memoryInUse(call, also)) - reserved
  const fit = seats + Math.max(0, Math.floor(free / (machine.memoryMiB + reserve.perGuestMiB)))
  if (fit < wish.min) {
    const held = reserved === 0 ? "" : `, beside ${reserved} MiB that are reserved`
    throw insufficient(
      machine,
      zone,
      `${wish.min} of it need ${wish.min * machine.memoryMiB} MiB of memory and the host has ${Math.max(0, free)} MiB left${held}`,
    )
  }
  return Math.min(wish.max, fit)
}

/** Throws VcpuLimitExceeded or InsufficientInstanceCapacity if these stopped instances may not run, or do not fit, all together. */
export async function requireRoom(
  call: Call,
  instances: readonly { readonly record: InstanceRecord; readonly seated: boolean }[],
): Promise<void> {
  const unseated = instances.filter(({ seated }) => !seated).map(({ record }) => record)
  for (const [index, { type, vcpus, memoryMiB, architecture, zone }] of unseated.entries())
    await roomFor(
      call,
      { name: type, vcpus, memoryMiB, architecture },
      { min: 1, max: 1 },
      zone,
      0,
      unseated.slice(0, index),
    )
}

function insufficient(machine: Machine, zone: string, why: string) {
  return raise("InsufficientInstanceCapacity", { type: machine.name, zone, why })
}

async function memoryInUse(call: Call, also: readonly InstanceRecord[]): Promise<number> {
  let sum = also.reduce((all, { memoryMiB }) => all + memoryMiB + reserve.perGuestMiB, 0)
  for await (const { memoryMiB } of instancesIn(call, ["pending", "running", "stopping", "shutting-down"]))
    sum += memoryMiB + reserve.perGuestMiB
  return sum
}

/** What all capacity reservations and Dedicated Hosts hold and nobody runs in. */
async function memoryReserved(call: Call): Promise<number> {
  const seats = (await unusedSeats(call, "all")).reduce(
    (sum, { reservation: { record }, count }) => sum + count * (record.memoryMiB + reserve.perGuestMiB),
    0,
  )
  return seats + (await heldByHosts(call, reserve.perGuestMiB)).memoryMiB
}

/** Memory of a machine with so much of it that nothing uses or holds, in MiB; below zero where more was promised than there is. */
export async function freeMemory(call: Call, machineMiB: number): Promise<number> {
  return machineMiB - reserve.hostMiB - (await memoryInUse(call, [])) - (await memoryReserved(call))
}

/** Of the caller's account and region only, or of all there are. */
async function* instancesIn(
  call: Call,
  states: readonly InstanceState[],
  own = false,
): AsyncGenerator<InstanceRecord, void> {
  let after: number | undefined
  do {
    const page = await call.store.query({
      kind: instanceKind.name,
      accounts: own ? [call.account] : [],
      regions: own ? [call.region] : [],
      facets: [{ name: "instance-state-name", values: states }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    for (const stored of page.items) yield fromStored<InstanceRecord>(stored).record
    after = page.next
  } while (after !== undefined)
}

/** Looked up only where there is a limit: it costs a look at all that runs. */
async function withinQuota(
  call: Call,
  machine: Machine,
  { min, max }: Counts,
  seats: number,
  also: readonly InstanceRecord[],
): Promise<number> {
  const quota = quotaOf(machine.name)
  const limit = await vcpuLimitOf(call, quota)
  if (limit === undefined) return max
  let used = also.filter(({ type }) => quotaOf(type) === quota).reduce((all, { vcpus }) => all + vcpus, 0)
  for await (const { type, vcpus, host } of instancesIn(call, ["pending", "running"], true))
    if (host === undefined && quotaOf(type) === quota) used += vcpus
  // Unused reservations count as if they ran: so those seats are paid for already.
  for (const { reservation, count } of await unusedSeats(call, "own"))
    if (quotaOf(reservation.record.type) === quota) used += count * reservation.record.vcpus
  const fit = seats + Math.max(0, Math.floor((limit - used) / machine.vcpus))
  if (fit < min) throw raise("VcpuLimitExceeded", { limit })
  return Math.min(max, fit)
}
