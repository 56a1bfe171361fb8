/**
 * StartInstances, StopInstances, RebootInstances, TerminateInstances: they write the wish and answer with the state in between; the host's
 * observation ends it. States follow "Amazon EC2 instance state changes".
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { freePublicAddresses, publicAddressScope } from "../addresses/pool.ts"
import { createUsher, type Seat, takeSeat } from "../capacity-reservations/seats.ts"
import { mayRunAnywhere, noSeat, requireTarget } from "../capacity-reservations/wish.ts"
import { createPlacer, noRoomOnHost } from "../dedicated-hosts/room.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { publicNameOf } from "../network-interfaces/names.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../network-interfaces/record.ts"
import { requirePlaces } from "../placement-groups/members.ts"
import { toNumber } from "../vpcs/addresses.ts"
import { toStateChange } from "./answer.ts"
import { assignGuest, ownInterfaces } from "./assignment.ts"
import { requireHibernatable } from "./hibernation.ts"
import { readInstances } from "./ids.ts"
import { requireRoom } from "./launch/capacity.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"
import { requireTypeSupport } from "./type-support.ts"

type InstanceResource = Resource<InstanceRecord>

export const startInstances: Handler<"StartInstances"> = async (input, call) => {
  const { instances, interfaces } = await readAll(call, input.InstanceIds)
  call.authorize("ec2:StartInstances", ...instances)
  const stopped = instances.filter(({ id, record }) => {
    if (record.state === "pending" || record.state === "running") return false
    if (record.state === "stopped") return true
    throw notInState(id, "started")
  })
  for (const { record } of stopped) requireTypeSupport(record.type, record.attributes)
  const hosts = await hostsOnStart(call, stopped)
  const shared = stopped.filter(({ id }) => !hosts.has(id))
  const seats = await seatsOnStart(call, shared)
  await requireRoom(
    call,
    shared.map(({ id, record }) => ({ record, seated: seats.has(id) })),
  )
  await requirePlaces(
    call,
    stopped.map(({ record }) => record),
  )
  const needing = stopped
    .flatMap((instance) => ownInterfaces(instance, interfaces))
    .filter((i) => i.record.autoPublic && i.record.publicAddress === undefined)
  const addresses = needing.length === 0 ? [] : await freePublicAddresses(call, needing.length)
  const given = new Map(needing.map((networkInterface, index) => [networkInterface.id, addresses[index] as string]))
  for (const instance of stopped)
    startOne(call, instance, ownInterfaces(instance, interfaces), given, {
      ...(seats.has(instance.id) && { seat: seats.get(instance.id) }),
      ...(hosts.has(instance.id) && { host: hosts.get(instance.id) }),
    })
  await call.commit()
  return {
    StartingInstances: instances.map(({ id, record }) =>
      toStateChange(id, record.state, record.state === "stopped" ? "pending" : record.state),
    ),
  }
}

/** In a capacity reservation or on a Dedicated Host. */
interface Room {
  readonly seat?: Seat | undefined
  readonly host?: string | undefined
}

function startOne(
  call: Call,
  instance: InstanceResource,
  own: readonly Resource<NetworkInterfaceRecord>[],
  given: ReadonlyMap<string, string>,
  room: Room,
): void {
  const interfaces = own.map((networkInterface) => {
    const address = given.get(networkInterface.id)
    if (address === undefined) return networkInterface
    call.draft.claim(publicAddressScope, toNumber(address), networkInterface.id)
    return call.draft.update(networkInterfaceKind, networkInterface, {
      ...networkInterface.record,
      publicAddress: { address },
    })
  })
  const publicAddress = interfaces[0]?.record.publicAddress?.address
  const name = publicNameOf(publicAddress, interfaces[0]?.record.vpcNames, call.region)
  const { stateReason: _, terminatedMs: _t, runningMs: _r, ...record } = instance.record
  const started = call.draft.update(instanceKind, instance, {
    ...record,
    state: "pending",
    transitionReason: "",
    launchedMs: call.nowMs,
    starts: record.starts + 1,
    ...(room.seat && { seat: room.seat }),
    ...(room.host && record.host && { host: { ...record.host, id: room.host } }),
    ...(publicAddress === undefined ? {} : { publicAddress }),
    ...(name === undefined ? {} : { publicDnsName: name }),
  })
  if (room.seat !== undefined) takeSeat(call, instance.id, room.seat)
  assignGuest(call, started, interfaces)
}

/** Dedicated Hosts for instances of that tenancy that start, by instance: where they were, or where there is room if they may go. */
async function hostsOnStart(call: Call, stopped: readonly InstanceResource[]): Promise<ReadonlyMap<string, string>> {
  const placer = createPlacer(call)
  const hosts = new Map<string, string>()
  for (const { id, record } of stopped) {
    if (record.host === undefined) continue
    const wish = { affinity: record.host.affinity }
    const host = await placer.place(record, wish, record.host.id)
    if (host === undefined) throw noRoomOnHost(wish)
    hosts.set(id, host)
  }
  return hosts
}

/** Seats in capacity reservations for instances that start, by instance; an instance is matched anew at each start. */
async function seatsOnStart(call: Call, stopped: readonly InstanceResource[]): Promise<ReadonlyMap<string, Seat>> {
  const usher = createUsher(call)
  const seats = new Map<string, Seat>()
  for (const { id, record } of stopped) {
    await requireTarget(call, record.capacity, record)
    const seat = await usher.seat(record, record.capacity)
    if (seat !== undefined) seats.set(id, seat)
    else if (!mayRunAnywhere(record.capacity)) throw noSeat(record, record.capacity)
  }
  return seats
}

export const stopInstances: Handler<"StopInstances"> = async (input, call) => {
  const { instances, interfaces } = await readAll(call, input.InstanceIds)
  call.authorize("ec2:StopInstances", ...instances)
  const hibernate = input.Hibernate === true
  if (hibernate) for (const { id, record } of instances) requireHibernatable(id, record)
  if (hibernate && (input.Force === true || input.SkipOsShutdown === true))
    throw raise("InvalidParameterCombination", {
      detail: "The parameter Hibernate may not be specified with Force or SkipOsShutdown on the same request",
    })
  if (input.SkipOsShutdown === true && input.Force === true)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters Force and SkipOsShutdown may not be specified on the same request",
    })
  const force = input.Force === true || input.SkipOsShutdown === true
  const stopping = instances.filter(({ id, record }) => {
    if (record.state === "stopped") return false
    // Force may follow a stop that the guest ignores.
    if (record.state === "stopping") return force
    if (record.state === "pending" && record.starts === 1)
      throw raise("IncorrectInstanceState", {
        detail: `Instance '${id}' cannot be stopped as it has never reached the 'running' state.`,
      })
    if (record.state !== "running" && record.state !== "pending") throw notInState(id, "stopped")
    if (record.attributes.disableApiStop) throw notPermitted(id, "stopped", "disableApiStop")
    return true
  })
  for (const instance of stopping) {
    const { hibernate: _, ...record } = instance.record
    const stopped = call.draft.update(instanceKind, instance, {
      ...record,
      state: "stopping",
      ...userInitiated(call, hibernate ? "hibernate" : "shutdown"),
      ...(hibernate && { hibernate }),
    })
    assignGuest(call, stopped, ownInterfaces(instance, interfaces), { force })
  }
  await call.commit()
  return {
    StoppingInstances: instances.map(({ id, record }) =>
      toStateChange(id, record.state, record.state === "stopped" ? "stopped" : "stopping"),
    ),
  }
}

export const rebootInstances: Handler<"RebootInstances"> = async (input, call) => {
  const { instances, interfaces } = await readAll(call, input.InstanceIds)
  call.authorize("ec2:RebootInstances", ...instances)
  for (const instance of instances) {
    if (instance.record.state !== "running" && instance.record.state !== "pending")
      throw notInState(instance.id, "rebooted")
    const next = call.draft.update(instanceKind, instance, { ...instance.record, resets: instance.record.resets + 1 })
    assignGuest(call, next, ownInterfaces(instance, interfaces))
  }
  await call.commit()
  return {}
}

export const terminateInstances: Handler<"TerminateInstances"> = async (input, call) => {
  const { instances } = await readAll(call, input.InstanceIds)
  call.authorize("ec2:TerminateInstances", ...instances)
  const ending = instances.filter(({ id, record }) => {
    if (record.state === "terminated" || record.state === "shutting-down") return false
    if (record.attributes.disableApiTermination) throw notPermitted(id, "terminated", "disableApiTermination")
    return true
  })
  for (const instance of ending) terminate(call, instance, userInitiated(call))
  await call.commit()
  return {
    TerminatingInstances: instances.map(({ id, record }) =>
      toStateChange(id, record.state, record.state === "terminated" ? "terminated" : "shutting-down"),
    ),
  }
}

/** Puts the end of an instance into the draft: the host is to forget the guest; volumes and interfaces follow when it has. */
export function terminate(
  call: Call,
  instance: InstanceResource,
  reason: Pick<InstanceRecord, "transitionReason" | "stateReason">,
): void {
  call.draft.update(instanceKind, instance, { ...instance.record, state: "shutting-down", ...reason })
  call.draft.unassign(localHost, instance.id)
}

function userInitiated(call: Call, how: "shutdown" | "hibernate" = "shutdown") {
  const at = new Date(call.nowMs)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " GMT")
  const code = how === "hibernate" ? "Client.UserInitiatedHibernate" : "Client.UserInitiatedShutdown"
  return {
    transitionReason: `User initiated (${at})`,
    stateReason: { code, message: `${code}: User initiated ${how}` },
  }
}

function notPermitted(id: string, done: string, attribute: string) {
  return raise("OperationNotPermitted", {
    detail: `The instance '${id}' may not be ${done}. Modify its '${attribute}' instance attribute and try again.`,
  })
}

/** An instance in a state that the operation does not take. */
export function notInState(id: string, done: string) {
  return raise("IncorrectInstanceState", {
    detail: `The instance '${id}' is not in a state from which it can be ${done}.`,
  })
}

async function readAll(call: Call, ids: readonly string[] | undefined) {
  const instances = await readInstances(call, ids)
  const interfaces = await call.load(
    networkInterfaceKind,
    instances.flatMap((instance) => instance.record.networkInterfaces),
  )
  return { instances, interfaces }
}
