/** What is left on Dedicated Hosts, and which of them an instance goes to ("Auto-placement and host affinity" of the user guide). */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { type DedicatedHostRecord, dedicatedHostKind, hostStateOf } from "./record.ts"
import { familyOf, fitting } from "./shapes.ts"
import type { HostWish } from "./wish.ts"

export type Host = Resource<DedicatedHostRecord>

export interface HostRoom {
  readonly host: Host
  /** Instances that take room on it: a stopped one takes none. */
  readonly instances: readonly Resource<InstanceRecord>[]
  readonly vcpus: number
  readonly memoryMiB: number
}

const live = ["pending", "running", "stopping", "shutting-down"]

/** Hosts that are allocated: the caller's in its region, or everybody's. */
export async function allocatedHosts(call: Call, whose: "own" | "all"): Promise<readonly Host[]> {
  const own = whose === "own"
  const page = await call.store.query({
    kind: dedicatedHostKind.name,
    accounts: own ? [call.account] : [],
    regions: own ? [call.region] : [],
    facets: [{ name: "state", values: ["available"] }],
    limit: 1000,
  })
  return page.items.map((stored) => fromStored<DedicatedHostRecord>(stored))
}

/** Instances on these hosts in these states; in any when none is named. */
export async function instancesOn(call: Call, hosts: readonly Host[], states: readonly string[] = live) {
  const found: Resource<InstanceRecord>[] = []
  if (hosts.length === 0) return found
  let after: number | undefined
  do {
    const page = await call.store.query({
      kind: instanceKind.name,
      accounts: [],
      regions: [],
      facets: [
        { name: "host-id", values: hosts.map(({ id }) => id) },
        ...(states.length === 0 ? [] : [{ name: "instance-state-name", values: states }]),
      ],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    found.push(...page.items.map((stored) => fromStored<InstanceRecord>(stored)))
    after = page.next
  } while (after !== undefined)
  return found
}

export async function roomOn(call: Call, hosts: readonly Host[]): Promise<readonly HostRoom[]> {
  const all = await instancesOn(call, hosts)
  return hosts.map((host) => {
    const instances = all.filter(({ record }) => record.host?.id === host.id)
    const sum = (of: (record: InstanceRecord) => number) => instances.reduce((n, { record }) => n + of(record), 0)
    return {
      host,
      instances,
      vcpus: host.record.vcpus - sum(({ vcpus }) => vcpus),
      memoryMiB: host.record.memoryMiB - sum(({ memoryMiB }) => memoryMiB),
    }
  })
}

/** What an instance needs of a host. */
export interface Guest {
  readonly type: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly zone: string
}

const takes = ({ record }: Host, { type, zone }: Guest) =>
  hostStateOf(record) === "available" &&
  record.zone === zone &&
  (record.type === undefined ? record.family === familyOf(type) : record.type === type)

/** Puts the instances of one call on hosts, one after the other. */
export interface Placer {
  /** Id of the host, undefined where none has room. `last`: where it was before, which is tried first. */
  place(guest: Guest, wish: HostWish, last?: string): Promise<string | undefined>
}

export function createPlacer(call: Call): Placer {
  let rooms: { host: Host; vcpus: number; memoryMiB: number }[] | undefined
  return {
    async place(guest, { id, affinity }, last) {
      rooms ??= (await roomOn(call, await allocatedHosts(call, "own"))).map((room) => ({ ...room }))
      const bound = id ?? (affinity === "host" ? last : undefined)
      const open = rooms.filter(({ host }) => bound === undefined || host.id === bound)
      const wanted = open
        .filter(({ host }) => takes(host, guest) && (bound !== undefined || host.record.autoPlacement === "on"))
        .toSorted((a, b) => Number(b.host.id === last) - Number(a.host.id === last))
      const room = wanted.find((each) => fitting({ name: guest.type, ...guest }, each) > 0)
      if (room === undefined) return undefined
      room.vcpus -= guest.vcpus
      room.memoryMiB -= guest.memoryMiB
      // Of two calls that saw the same room one has to look again.
      call.draft.update(dedicatedHostKind, room.host, room.host.record)
      return room.host.id
    },
  }
}

/** Throws for a host that is named and is not there, not allocated, or not for this instance. */
export async function requireHost(call: Call, { id }: HostWish, guest: Guest): Promise<void> {
  if (id === undefined) return
  const host = await call.require(dedicatedHostKind, id)
  if (!takes(host, guest)) throw raise("IncompatibleHostRequirements")
}

/** Where no room was found. */
export const noRoomOnHost = ({ id, affinity }: HostWish) =>
  id === undefined && affinity !== "host" ? raise("IncompatibleHostRequirements") : raise("InsufficientCapacityOnHost")

/** What all hosts hold of the machine and no instance uses. `perGuestMiB`: what QEMU needs beside an instance's memory. */
export async function heldByHosts(call: Call, perGuestMiB: number): Promise<{ memoryMiB: number; cpus: number }> {
  const rooms = await roomOn(call, await allocatedHosts(call, "all"))
  const unused = ({ host, instances }: HostRoom) =>
    host.record.heldMiB - instances.reduce((sum, { record }) => sum + record.memoryMiB + perGuestMiB, 0)
  return {
    memoryMiB: rooms.reduce((sum, room) => sum + Math.max(0, unused(room)), 0),
    cpus: rooms.reduce((sum, { host }) => sum + host.record.vcpus, 0),
  }
}
