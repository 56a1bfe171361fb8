/**
 * Instances in placement groups: where the next one goes and whether there is room. "Placement strategies for your placement groups": a
 * cluster is in one zone, a spread group runs seven instances in each zone, a partition group spreads them evenly. Whoever adds to a group
 * changes its version, so that calls for one group come one after the other, and a group that is deleted meanwhile refuses the commit.
 */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { findInstanceType } from "../instance-types/data.ts"
import { type InstanceRecord, instanceKind, type InstanceState, type Placement } from "../instances/record.ts"
import { type PlacementGroupRecord, placementGroupKind } from "./record.ts"

type Group = Resource<PlacementGroupRecord>

/** What a request says of a group: either of name and id. */
export interface GroupWish {
  readonly name?: string
  readonly id?: string
  readonly partition?: number
}

/** "Placement group rules and limitations": for each zone of a spread group at the level of racks. */
const maxRunningSpread = 7

const holding: readonly InstanceState[] = ["pending", "running", "stopping", "shutting-down"]
const members: readonly InstanceState[] = [...holding, "stopped"]

/** GroupName, GroupId and PartitionNumber of a request; empty names are none. Throws InvalidParameterCombination. */
export function readGroupWish(
  name: string | undefined,
  id: string | undefined,
  partition: number | undefined,
): GroupWish | undefined {
  if (name && id)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters GroupName and GroupId may not be specified on the same request",
    })
  if (partition === undefined && !name && !id) return undefined
  return { ...(name && { name }), ...(id && { id }), ...(partition !== undefined && { partition }) }
}

/** The group that is named. Throws InvalidPlacementGroup.Unknown, InvalidPlacementGroupId.Malformed. */
export async function requirePlacementGroup(call: Call, { name, id }: GroupWish): Promise<Group> {
  if (id !== undefined) return call.require(placementGroupKind, id)
  if (name === undefined) throw noPartitions()
  const [found] = await call.list(placementGroupKind, "group-name", name)
  if (found === undefined) throw raise("InvalidPlacementGroup.Unknown", { name })
  return found
}

/** True while any instance that has not ended is in it. */
export async function hasMembers(call: Call, group: Group): Promise<boolean> {
  return !(await membersOf(call, group, members).next()).done
}

/** The zone that a cluster is in, undefined where it has no instances, and for other groups. */
export async function zoneOfCluster(call: Call, group: Group): Promise<string | undefined> {
  if (group.record.strategy !== "cluster") return undefined
  const first = await membersOf(call, group, members).next()
  return first.done === true ? undefined : first.value.record.zone
}

export interface Seeker {
  readonly type: string
  readonly zone: string
  /** The partition asked for. */
  readonly partition?: number | undefined
}

/**
 * Places in the group for between `min` and `max` instances of a type, as many as there are, and the group in the draft. `self` is an instance that is in
 * it already. Throws InsufficientInstanceCapacity below `min`, InvalidPlacementGroup.InUse for a cluster in another zone, InvalidParameterCombination
 * for a type that the strategy does not take.
 */
export async function findPlaces(
  call: Call,
  group: Group,
  seeker: Seeker,
  { min, max }: { readonly min: number; readonly max: number },
  self?: string,
): Promise<readonly Placement[]> {
  const { strategy, name } = group.record
  requireStrategy(seeker.type, strategy)
  if (seeker.partition !== undefined && strategy !== "partition") throw noPartitions()
  call.draft.update(placementGroupKind, group, group.record)
  const placement = { group: group.id, name }
  const seats = (count: number) => Array.from({ length: count }, () => placement)
  if (strategy === "spread") return seats(await roomInSpread(call, group, seeker, { min, max }))
  if (strategy === "partition") {
    const partitions = await partitionsFor(call, group, seeker, max, self)
    return partitions.map((partition) => ({ ...placement, partition }))
  }
  for await (const { id, record } of membersOf(call, group, members))
    if (record.zone !== seeker.zone && id !== self)
      throw raise("InvalidPlacementGroup.InUse", { name, how: `in use in another availability zone: ${record.zone}` })
  return seats(max)
}

/** The place of a stopped instance in a spread group: it takes room when it starts. */
export function joinStopped(call: Call, group: Group, type: string): Placement {
  requireStrategy(type, group.record.strategy)
  call.draft.update(placementGroupKind, group, group.record)
  return { group: group.id, name: group.record.name }
}

/** Room in their groups for stopped instances that are to run, all together. Throws what `findPlaces` throws. */
export async function requirePlaces(call: Call, starting: readonly InstanceRecord[]): Promise<void> {
  const ids = starting.flatMap(({ placement }) => placement?.group ?? [])
  for (const group of (await call.load(placementGroupKind, ids)).values()) {
    const own = starting.filter(({ placement }) => placement?.group === group.id)
    for (const { type } of own) requireStrategy(type, group.record.strategy)
    call.draft.update(placementGroupKind, group, group.record)
    if (group.record.strategy !== "spread") continue
    for (const seeker of own) {
      const min = own.filter(({ zone }) => zone === seeker.zone).length
      await roomInSpread(call, group, seeker, { min, max: min })
    }
  }
}

async function roomInSpread(
  call: Call,
  group: Group,
  { type, zone }: Seeker,
  { min, max }: { readonly min: number; readonly max: number },
): Promise<number> {
  let running = 0
  for await (const { record } of membersOf(call, group, holding)) if (record.zone === zone) running++
  if (running + min > maxRunningSpread)
    throw raise("InsufficientInstanceCapacity", {
      type,
      zone,
      why: `the spread placement group '${group.record.name}' runs ${running} of at most ${maxRunningSpread} instances in it`,
    })
  return Math.min(max, maxRunningSpread - running)
}

/** Numbers of partitions, from 1: the one asked for, or those with the fewest instances in the zone. */
async function partitionsFor(
  call: Call,
  group: Group,
  { partition, zone }: Seeker,
  count: number,
  self: string | undefined,
): Promise<readonly number[]> {
  const { partitions = 1 } = group.record
  if (partition !== undefined) {
    if (partition < 1 || partition > partitions)
      throw raise("InvalidParameterValue", {
        detail: `Value (${partition}) for parameter partitionNumber is invalid. The placement group '${group.record.name}' has ${partitions} partitions.`,
      })
    return Array.from({ length: count }, () => partition)
  }
  const sizes = Array.from({ length: partitions }, () => 0)
  const add = (number: number) => void (sizes[number - 1] = (sizes[number - 1] ?? 0) + 1)
  for await (const { id, record } of membersOf(call, group, members))
    if (id !== self && record.zone === zone && record.placement?.partition !== undefined)
      add(record.placement.partition)
  return Array.from({ length: count }, () => {
    const number = sizes.indexOf(Math.min(...sizes)) + 1
    add(number)
    return number
  })
}

/** As many pages as there are: a cluster and a partition group have no limit. */
async function* membersOf(
  call: Call,
  group: Group,
  states: readonly InstanceState[],
): AsyncGenerator<Resource<InstanceRecord>, undefined> {
  let after: number | undefined
  do {
    const page = await call.store.query({
      kind: instanceKind.name,
      accounts: [call.account],
      regions: [call.region],
      facets: [
        { name: "placement-group-id", values: [group.id] },
        { name: "instance-state-name", values: states },
      ],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    for (const stored of page.items) yield fromStored<InstanceRecord>(stored)
    after = page.next
  } while (after !== undefined)
  return undefined
}

function requireStrategy(type: string, strategy: PlacementGroupRecord["strategy"]): void {
  const supported = findInstanceType(type)?.PlacementGroupInfo?.SupportedStrategies
  if (supported === undefined || supported.includes(strategy)) return
  const [first = "", ...rest] = strategy
  throw raise("InvalidParameterCombination", {
    detail: `${first.toUpperCase()}${rest.join("")} placement groups are not supported by the '${type}' instance type. Specify a supported instance type or change the placement group strategy, and try again.`,
  })
}

const noPartitions = () =>
  raise("InvalidParameterCombination", {
    detail: "A partition number is for instances in a partition placement group.",
  })
