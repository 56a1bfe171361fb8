/** What follows from all that is assigned: who holds what, what a network consists of, which guests are checked and paid for. */
import type { PaidGuest } from "../credits/keeper.ts"
import type { Group, NetworkAssignment, NetworkSpec, PortSpec, Spec } from "../protocol/types.ts"
import type { CheckedGuest } from "./checks.ts"
import { runOf } from "./guest-scene.ts"
import type { Entry } from "./queue.ts"

export function checkedGuest({ resource, wish, status }: Entry): readonly CheckedGuest[] {
  if (wish?.kind !== "guest" || status?.kind !== "guest" || status.phase !== "on" || status.trouble) return []
  const [first] = wish.ports
  return first ? [{ id: resource, run: runOf(status, status.pid), network: first.network, port: first.port.id }] : []
}

export function paidGuest({ resource, wish, status }: Entry): readonly PaidGuest[] {
  if (wish?.kind !== "guest" || wish.cpuAccount === undefined) return []
  const on = status?.kind === "guest" && status.phase === "on"
  const whole = wish.cpuQuotaPercent ?? wish.vcpus * 100
  return [{ id: resource, account: wish.cpuAccount, whole, starts: on ? status.starts : undefined }]
}

export function holderAmong(entries: Iterable<Entry>, resource: string): string | undefined {
  for (const { kind, resource: guest, holds, wish } of entries) {
    if (kind !== "guest") continue
    if (holds ? holds.has(resource) : mayHold(wish, resource)) return guest
  }
  return undefined
}

/** Of a guest that was not looked at yet: what its spec names, or for a leftover, anything. */
function mayHold(wish: Spec | undefined, resource: string): boolean {
  if (wish?.kind !== "guest") return true
  return (
    wish.disks.some((disk) => disk.volume === resource) ||
    wish.ports.some(({ network, port }) => network === resource || port.id === resource)
  )
}

const isMade = ({ applied, work }: Entry) => applied !== undefined || work.final

/** What is wished, is not there and is no failure, and needs `resource` for it. */
export function takenFrom(entries: Iterable<Entry>, resource: string): string | undefined {
  for (const entry of entries) {
    const { wish } = entry
    if (isMade(entry)) continue
    if (wish?.kind === "volume" && wish.snapshot === resource) return entry.resource
    if (wish?.kind === "snapshot" && wish.set.some(({ from }) => Object.values(from).includes(resource)))
      return entry.resource
  }
  return undefined
}

export function restFor(entries: Iterable<Entry>, guest: string): string | undefined {
  for (const entry of entries)
    if (entry.wish?.kind === "snapshot" && entry.wish.atRest && entry.wish.guest === guest && !isMade(entry))
      return entry.resource
  return undefined
}

export function networkSpec(entries: Iterable<Entry>, assignment: NetworkAssignment): NetworkSpec {
  const { id, number, cidr, subnets, domainName } = assignment
  const groups: Group[] = []
  const ports: PortSpec[] = []
  for (const { wish } of entries) {
    if (wish?.kind === "group" && wish.network === id) groups.push(wish.group)
    if (wish?.kind === "guest") for (const { network, port } of wish.ports) if (network === id) ports.push(port)
  }
  return { id, number, cidr, subnets, domainName, groups, ports }
}

/** What a wish adds to networks: network -> JSON of its part there. */
export function networksOf(wish: Spec | undefined): ReadonlyMap<string, string> {
  if (wish?.kind === "group") return new Map([[wish.network, JSON.stringify(wish.group)]])
  if (wish?.kind !== "guest") return new Map()
  const parts = Map.groupBy(wish.ports, ({ network }) => network)
  return new Map(Array.from(parts, ([network, ports]) => [network, JSON.stringify(ports)]))
}

export function differing(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const networks = new Set([...before.keys(), ...after.keys()])
  return [...networks].filter((network) => before.get(network) !== after.get(network))
}
