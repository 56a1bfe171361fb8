/** CreatePlacementGroup, DescribePlacementGroups, DeletePlacementGroup. What a group does is in members.ts. */
import type { PlacementGroup } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { hasMembers, requirePlacementGroup } from "./members.ts"
import { placementGroupArn, type PlacementGroupRecord, placementGroupKind, type Strategy } from "./record.ts"

/** "Placement group rules and limitations". */
const maxPerRegion = 500
const maxPartitions = 7
/** What a partition group has when nobody says how many. */
const usualPartitions = 2
const maxNameLength = 255

type Create = Input<"CreatePlacementGroup">

/** InvalidPlacementGroup.Duplicate, PlacementGroupLimitExceeded. Available at once: there is nothing to prepare. */
const createPlacementGroup: Handler<"CreatePlacementGroup"> = async (input, call) => {
  for (const name of ["LinkedGroupId", "ParentGroupId", "Operator"] as const)
    if (input[name] !== undefined)
      throw raise("UnsupportedOperation", { operation: `CreatePlacementGroup with ${name}` })
  const name = readName(input.GroupName)
  const strategy = readStrategy(input)
  requireRack(input, strategy)
  const partitions = readPartitions(input, strategy)
  const tags = tagsFor(input.TagSpecifications, "placement-group")
  const scope = nameScope(call)
  if ((await call.store.claims(scope, [name])).length > 0) throw raise("InvalidPlacementGroup.Duplicate", { name })
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion) throw raise("PlacementGroupLimitExceeded", { limit: maxPerRegion })
  const group = call.draft.create(placementGroupKind, {
    name,
    strategy,
    ...(partitions === undefined ? {} : { partitions }),
    tags,
  })
  call.draft.claim(scope, name, group.id)
  await call.commit()
  return { PlacementGroup: toPlacementGroup(group) }
}

const nameScope = (call: Call) => `placement-group-name:${call.account}:${call.region}`

function readName(name: string | undefined): string {
  if (name === undefined || name === "") throw raise("MissingParameter", { name: "groupName" })
  if (name.length <= maxNameLength && /^[\x20-\x7e]+$/.test(name) && name.trim() === name) return name
  throw invalid(
    `Value (${name.slice(0, maxNameLength)}) for parameter groupName is invalid. A name has at most ${maxNameLength} ASCII characters.`,
  )
}

function readStrategy({ Strategy: given }: Create): Strategy {
  if (given === undefined) throw raise("MissingParameter", { name: "strategy" })
  if (given === "cluster" || given === "spread" || given === "partition") return given
  if (given === "precision-time")
    throw raise("UnsupportedOperation", { operation: "CreatePlacementGroup with Strategy=precision-time" })
  throw invalid(`Value (${String(given)}) for parameter strategy is invalid. Expected: cluster, spread, partition.`)
}

/** Instances are spread over racks. Spreading over hosts is for groups on an Outpost, and there are none. */
function requireRack({ SpreadLevel: level }: Create, strategy: Strategy): void {
  if (level === undefined) return
  if (level !== "rack" && level !== "host")
    throw invalid(`Value (${String(level)}) for parameter spreadLevel is invalid. Expected: host, rack.`)
  if (strategy !== "spread") throw combination("The parameter SpreadLevel is for the strategy 'spread' only.")
  if (level === "host") throw combination("The spread level 'host' is for placement groups on an Outpost only.")
}

function readPartitions({ PartitionCount: count }: Create, strategy: Strategy): number | undefined {
  if (count !== undefined && strategy !== "partition")
    throw combination("The parameter PartitionCount is for the strategy 'partition' only.")
  if (count !== undefined && (count < 1 || count > maxPartitions))
    throw invalid(`Value (${count}) for parameter partitionCount is invalid. Expected: 1 to ${maxPartitions}.`)
  return strategy === "partition" ? (count ?? usualPartitions) : undefined
}

const filterNames = ["group-name", "group-arn", "spread-level", "state", "strategy"]

/** No paging: a region has at most 500. Names of groups that are none are InvalidPlacementGroup.Unknown. */
const describePlacementGroups: Handler<"DescribePlacementGroups"> = async (input, call) => {
  const names = [...new Set(input.GroupNames ?? [])]
  if (names.length > maxPerRegion) throw invalid(`At most ${maxPerRegion} placement groups can be named.`)
  const claims = names.length === 0 ? [] : await call.store.claims(nameScope(call), names)
  const owners = new Map(claims.map(({ key, owner }) => [key, owner]))
  const named = names.map((name) => {
    const id = owners.get(name)
    if (id === undefined) throw raise("InvalidPlacementGroup.Unknown", { name })
    return id
  })
  const page = await call.describe({
    kind: placementGroupKind,
    ids: [...(input.GroupIds ?? []), ...named],
    filters: input.Filters,
    filterNames,
  })
  return { PlacementGroups: page.items.map(toPlacementGroup) }
}

/** InvalidPlacementGroup.InUse until all its instances are terminated. */
const deletePlacementGroup: Handler<"DeletePlacementGroup"> = async (input, call) => {
  if (input.GroupName === undefined || input.GroupName === "") throw raise("MissingParameter", { name: "groupName" })
  const group = await requirePlacementGroup(call, { name: input.GroupName })
  call.authorize("ec2:DeletePlacementGroup", group)
  if (await hasMembers(call, group))
    throw raise("InvalidPlacementGroup.InUse", { name: group.record.name, how: "in use and may not be deleted" })
  call.draft.remove(group)
  await call.commit()
  return {}
}

function toPlacementGroup(group: Resource<PlacementGroupRecord>): PlacementGroup {
  const { name, strategy, partitions, tags } = group.record
  return {
    GroupName: name,
    GroupId: group.id,
    GroupArn: placementGroupArn(group),
    State: "available",
    Strategy: strategy,
    Tags: toTags(tags),
    ...(strategy === "spread" ? { SpreadLevel: "rack" } : {}),
    ...(partitions === undefined ? {} : { PartitionCount: partitions }),
  }
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
const combination = (detail: string) => raise("InvalidParameterCombination", { detail })

export const handlers = {
  CreatePlacementGroup: createPlacementGroup,
  DeletePlacementGroup: deletePlacementGroup,
  DescribePlacementGroups: pure(describePlacementGroups),
} satisfies Handlers
