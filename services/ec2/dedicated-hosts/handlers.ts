/**
 * AllocateHosts, DescribeHosts, ModifyHosts, ReleaseHosts. A host holds its memory and its vCPUs of the machine from the call on, whether something
 * runs on it or not; what the machine does not have is refused with InsufficientHostCapacity. There is no other machine to recover to, so that
 * host recovery and host maintenance are refused.
 */
import type { UnsuccessfulItem } from "@aws-sdk/client-ec2"
import { type Call, type Cloud, runCall } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import type { Fault } from "#lib/fault.ts"
import { raise } from "../errors.ts"
import { nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { freeMemory, reserve } from "../instances/launch/capacity.ts"
import { zonesOf } from "../regions/data.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toHost } from "./answer.ts"
import { type DedicatedHostRecord, dedicatedHostKind, hostStateOf } from "./record.ts"
import { allocatedHosts, heldByHosts, type Host, instancesOn, roomOn } from "./room.ts"
import { fitting, type HostShape, requireHostedType, requireShape, sizesOf } from "./shapes.ts"
import { requireOneOf } from "./wish.ts"

/** Of one call, and of an account in a region. */
const maxHosts = 100

const allocateHosts: Handler<"AllocateHosts"> = async (input, call) => {
  const wanted = readHosts(input, call)
  const tags = tagsFor(input.TagSpecifications, "dedicated-host")
  const { ClientToken: token, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return { HostIds: await allocatedWith(call, token as string) }
  call.authorize("ec2:AllocateHosts")
  const { quantity, record } = wanted
  if ((await allocatedHosts(call, "own")).length + quantity > maxHosts)
    throw raise("HostLimitExceeded", { limit: maxHosts })
  await requireMachine(call, record, quantity)
  const hosts = Array.from({ length: quantity }, () =>
    call.draft.create(dedicatedHostKind, { ...record, ...(token && { clientToken: token }), tags }),
  )
  rememberToken(call, token, parameters, hosts[0]?.id ?? "")
  await call.commit()
  return { HostIds: hosts.map(({ id }) => id) }
}

async function allocatedWith(call: Call, token: string): Promise<string[]> {
  return (await call.list(dedicatedHostKind, "client-token", token)).map(({ id }) => id)
}

const notDone = ["AssetIds", "CpuOptions", "OutpostArn"] as const

function refuseRecovery(operation: string, input: Input<"AllocateHosts"> | Input<"ModifyHosts">): void {
  requireOneOf("HostRecovery", input.HostRecovery, ["on", "off"])
  requireOneOf("HostMaintenance", input.HostMaintenance, ["on", "off"])
  requireOneOf("AutoPlacement", input.AutoPlacement, ["on", "off"])
  if (input.HostRecovery === "on")
    throw raise("UnsupportedOperation", { operation: `${operation} with HostRecovery=on` })
  if (input.HostMaintenance === "on")
    throw raise("UnsupportedOperation", { operation: `${operation} with HostMaintenance=on` })
}

/** The family, and the type of a host that takes one only. */
function readType({ InstanceType: type, InstanceFamily: family }: Input<"AllocateHosts"> | Input<"ModifyHosts">) {
  if (type !== undefined && family !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters InstanceType and InstanceFamily may not be specified on the same request",
    })
  if (type !== undefined) return { family: requireHostedType(type), type }
  return family === undefined ? undefined : { family }
}

function readHosts(input: Input<"AllocateHosts">, call: Call) {
  const missing = notDone.find((name) => input[name] !== undefined)
  if (missing !== undefined) throw raise("UnsupportedOperation", { operation: `AllocateHosts with ${missing}` })
  refuseRecovery("AllocateHosts", input)
  const quantity = input.Quantity ?? 1
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > maxHosts)
    throw raise("InvalidParameterValue", {
      detail: `Value (${quantity}) for parameter Quantity is invalid. Expecting 1 to ${maxHosts}.`,
    })
  const named = readType(input)
  if (named === undefined) throw raise("MissingParameter", { name: "InstanceType or InstanceFamily" })
  const { AvailabilityZone: name, AvailabilityZoneId: id } = input
  if (name === undefined && id === undefined)
    throw raise("MissingParameter", { name: "AvailabilityZone or AvailabilityZoneId" })
  const zone = zonesOf(call.region).find(
    (each) => (name === undefined || each.name === name) && (id === undefined || each.id === id),
  )
  if (zone === undefined) throw raise("InvalidParameterValue", { detail: `Invalid availability zone: [${name ?? id}]` })
  const { architectures, ...shape } = requireShape(named.family)
  if (!call.cloud.settings.architectures.some((each) => architectures.includes(each)))
    throw raise("InsufficientHostCapacity", { why: `no machine runs ${architectures.join(", ")}` })
  const record: Omit<DedicatedHostRecord, "tags"> = {
    ...shape,
    ...named,
    zone: zone.name,
    zoneId: zone.id,
    autoPlacement: input.AutoPlacement ?? "off",
    heldMiB: heldMiB(shape),
    allocatedMs: call.nowMs,
  }
  return { quantity, record }
}

/** Its memory, and what QEMU needs beside the most instances that can run on it. */
function heldMiB(shape: Omit<HostShape, "architectures">): number {
  const most = Math.max(...sizesOf(shape.family).map((size) => fitting(size, shape)))
  return shape.memoryMiB + most * reserve.perGuestMiB
}

/** On sim nothing is short. */
async function requireMachine(call: Call, host: Omit<DedicatedHostRecord, "tags">, quantity: number): Promise<void> {
  const { capacity } = call.cloud.settings
  if (capacity === undefined) return
  const cpus = capacity.cpus - (await heldByHosts(call, reserve.perGuestMiB)).cpus
  if (host.vcpus * quantity > cpus)
    throw raise("InsufficientHostCapacity", {
      why: `${quantity} of ${host.family} need ${host.vcpus * quantity} vCPUs and the machine has ${cpus} that no Dedicated Host holds`,
    })
  const free = await freeMemory(call, capacity.memoryMiB)
  if (host.heldMiB * quantity > free)
    throw raise("InsufficientHostCapacity", {
      why: `${quantity} of ${host.family} need ${host.heldMiB * quantity} MiB of memory and the machine has ${Math.max(0, free)} MiB left`,
    })
}

const filterNames = [
  "auto-placement",
  "availability-zone",
  "client-token",
  "host-reservation-id",
  "instance-type",
  "state",
]

const describeHosts: Handler<"DescribeHosts"> = async (input, call) => {
  const page = await call.describe({
    kind: dedicatedHostKind,
    ids: input.HostIds,
    idsCalled: "HostIds",
    filterNames,
    filters: input.Filter,
    maxResults: input.MaxResults,
    nextToken: input.NextToken,
    bounds: [5, 500],
  })
  return { Hosts: (await roomOn(call, page.items)).map(toHost), ...nextToken(page) }
}

type Outcome = { Successful: string[]; Unsuccessful: UnsuccessfulItem[] }

/** Runs `change` for each host by itself: one that cannot be done leaves the others as they are to be. */
async function each(
  call: Call,
  ids: readonly string[] | undefined,
  change: (host: Host) => Promise<Fault | undefined>,
): Promise<Outcome> {
  if (ids === undefined || ids.length === 0) throw raise("MissingParameter", { name: "HostId" })
  const outcome: Outcome = { Successful: [], Unsuccessful: [] }
  for (const id of new Set(ids)) {
    const host = await call.find(dedicatedHostKind, id)
    const fault = host === undefined ? raise("InvalidHostID.NotFound", { id }) : await change(host)
    if (fault === undefined) outcome.Successful.push(id)
    else outcome.Unsuccessful.push({ ResourceId: id, Error: { Code: `Client.${fault.code}`, Message: fault.message } })
  }
  await call.commit()
  return outcome
}

const isReleased = ({ id, record }: Host) =>
  hostStateOf(record) === "released"
    ? raise("InvalidHostState", { detail: `The host '${id}' is released.` })
    : undefined

const modifyHosts: Handler<"ModifyHosts"> = async (input, call) => {
  refuseRecovery("ModifyHosts", input)
  const named = readType(input)
  const { AutoPlacement: autoPlacement } = input
  if (named === undefined && [autoPlacement, input.HostRecovery, input.HostMaintenance].every((v) => v === undefined))
    throw raise("MissingParameter", { name: "AutoPlacement, HostRecovery, InstanceType or InstanceFamily" })
  return each(call, input.HostIds, async (host) => {
    call.authorize("ec2:ModifyHosts", host)
    const { type: before, ...record } = host.record
    const type = named === undefined ? before : "type" in named ? named.type : undefined
    const others = (await instancesOn(call, [host], [])).filter((one) => type !== undefined && one.record.type !== type)
    const fault =
      isReleased(host) ??
      (named !== undefined && named.family !== record.family
        ? raise("InvalidParameterValue", {
            detail: `The host '${host.id}' is of the instance family ${record.family}.`,
          })
        : others.some(({ record: { state } }) => state !== "terminated")
          ? raise("InvalidHost.Occupied", { id: host.id })
          : undefined)
    if (fault === undefined)
      call.draft.update(dedicatedHostKind, host, {
        ...record,
        ...(type !== undefined && { type }),
        ...(autoPlacement !== undefined && { autoPlacement }),
      })
    return fault
  })
}

/** Not while an instance is on it, nor while a stopped one is to start there. */
const releaseHosts: Handler<"ReleaseHosts"> = async (input, call) =>
  each(call, input.HostIds, async (host) => {
    call.authorize("ec2:ReleaseHosts", host)
    const on = await instancesOn(call, [host], [])
    const bound = on.filter(({ record: { state, host: its } }) =>
      state === "stopped" ? its?.affinity === "host" : state !== "terminated",
    )
    const fault = isReleased(host) ?? (bound.length > 0 ? raise("InvalidHost.Occupied", { id: host.id }) : undefined)
    if (fault === undefined) call.draft.update(dedicatedHostKind, host, { ...host.record, releasedMs: call.nowMs })
    return fault
  })

/** How long a released host can still be seen, as terminated instances are. */
const seenMs = 3_600_000

/** Forgets hosts that were released long ago. */
export async function sweepHosts(cloud: Cloud): Promise<void> {
  const nowMs = cloud.clock.cloudMs()
  const page = await cloud.store.query({
    kind: dedicatedHostKind.name,
    accounts: [],
    regions: [],
    facets: [{ name: "state", values: ["released"] }],
    limit: 1000,
  })
  for (const { id, account, region, record } of page.items.map((one) => fromStored<DedicatedHostRecord>(one))) {
    if (nowMs - (record.releasedMs ?? nowMs) < seenMs) continue
    const caller = { account, arn: `arn:aws:iam::${account}:root`, userId: account }
    await runCall(cloud, { requestId: `swept-${id}`, operation: "Sweep", region, caller }, false, async (call) => {
      const host = await call.find(dedicatedHostKind, id)
      if (host === undefined) return
      call.draft.remove(host)
      await call.commit()
    })
  }
}

export const handlers = {
  AllocateHosts: allocateHosts,
  DescribeHosts: pure(describeHosts),
  ModifyHosts: modifyHosts,
  ReleaseHosts: releaseHosts,
} satisfies Handlers
