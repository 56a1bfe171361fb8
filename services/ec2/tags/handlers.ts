/** CreateTags, DeleteTags, DescribeTags, for everything in `kinds.ts` and for the rules of security groups. */
import type { ResourceType } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { defineKind, type Resource, type Tag, type Tagged } from "#cloud/resources/kind.ts"
import { tagKind, withoutTags, withTags } from "#cloud/resources/tags.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { inTurnOf } from "../security-groups/in-turn.ts"
import { type SecurityGroupRecord, securityGroupKind } from "../security-groups/record.ts"
import { requireRules } from "../security-groups/rule-ids.ts"
import { taggableKind } from "./kinds.ts"
import { checkKey, isReserved, maxTags, readTags } from "./rules.ts"

/** Quota of one request, as CreateTags and DeleteTags state it. */
const maxResources = 1000
const rulePrefix = "sgr"

/** CreateTags: all resources or none. The ids' own NotFound errors, InvalidID, InvalidParameterValue, TagLimitExceeded. */
const createTags: Handler<"CreateTags"> = async (input, call) => {
  const ids = readIds(input.Resources)
  if (input.Tags === undefined || input.Tags.length === 0) throw raise("MissingParameter", { name: "tagSet" })
  const added = readTags(input.Tags)
  await retag(call, ids, adding(added))
  return {}
}

/** With these tags besides. TagLimitExceeded. */
export function adding(added: readonly Tag[]): Change {
  return (tags) => {
    const all = withTags(tags, added)
    if (all.filter((tag) => !isReserved(tag.key)).length > maxTags) throw raise("TagLimitExceeded")
    return all
  }
}

/** DeleteTags: with a value only where it is the same; without Tags all tags of the resources that users set. */
const deleteTags: Handler<"DeleteTags"> = async (input, call) => {
  const ids = readIds(input.Resources)
  const removed = (input.Tags ?? []).map(({ Key: key, Value: value }) => {
    checkKey(key)
    return { key, value }
  })
  await retag(call, ids, (tags) =>
    removed.length === 0 ? tags.filter((tag) => isReserved(tag.key)) : withoutTags(tags, removed),
  )
  return {}
}

function readIds(resources: readonly string[] | undefined): readonly string[] {
  const ids = [...new Set(resources)]
  if (ids.length === 0) throw raise("MissingParameter", { name: "resourceIdSet" })
  if (ids.length > maxResources)
    throw raise("InvalidParameterValue", { detail: `At most ${maxResources} resource IDs can be given` })
  return ids
}

export type Change = (tags: readonly Tag[]) => readonly Tag[]

const prefixOf = (id: string) => id.slice(0, Math.max(0, id.lastIndexOf("-")))

/** Changes the tags of all these resources in one commit, or none. Throws their NotFound errors, InvalidID and what `change` throws. Rules and groups wait for other changes of the same group. */
export async function retag(call: Call, ids: readonly string[], change: Change): Promise<void> {
  const rules = ids.filter((id) => prefixOf(id) === rulePrefix)
  const ofRules = rules.length === 0 ? [] : await call.list(securityGroupKind, "security-group-rule-id", ...rules)
  const groups = ids.filter((id) => prefixOf(id) === securityGroupKind.prefix)
  await inTurnOf(call, [...groups, ...ofRules.map((group) => group.id)], async () => {
    await draftTags(call, ids, change)
    await call.commit()
  })
}

/** One read for each kind among the ids. */
async function draftTags(call: Call, ids: readonly string[], change: Change): Promise<void> {
  const byPrefix = Map.groupBy(ids, prefixOf)
  for (const [prefix, [first]] of byPrefix)
    if (prefix !== rulePrefix && taggableKind(prefix) === undefined) throw raise("InvalidID", { id: first })
  const found: Resource[] = []
  for (const [prefix, some] of byPrefix) found.push(...((await taggableKind(prefix)?.requireMany(call, some)) ?? []))
  call.authorize(`ec2:${call.info.operation}`, ...found)
  const groups = await retagRules(call, found, byPrefix.get(rulePrefix) ?? [], change)
  for (const resource of found)
    if (!groups.has(resource.id))
      await taggableKind(prefixOf(resource.id))?.retag(call, resource, change(resource.record.tags))
}

/** Rules live in their group's record, which may be tagged by the same request: then both changes are one. Returns groups done. */
async function retagRules(
  call: Call,
  found: readonly Resource[],
  ids: readonly string[],
  change: Change,
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set()
  const groups = await call.list(securityGroupKind, "security-group-rule-id", ...ids)
  requireRules(
    groups.flatMap((group) => group.record.rules),
    ids,
  )
  call.authorize(`ec2:${call.info.operation}`, ...groups)
  for (const group of groups) {
    const isNamed = found.some((resource) => resource.id === group.id)
    const record: SecurityGroupRecord = {
      ...group.record,
      tags: isNamed ? change(group.record.tags) : group.record.tags,
      rules: group.record.rules.map((rule) => (ids.includes(rule.id) ? { ...rule, tags: change(rule.tags) } : rule)),
    }
    call.draft.update(securityGroupKind, group, record)
  }
  return new Set(groups.map((group) => group.id))
}

export interface TagRecord extends Tagged {
  readonly resource: string
  readonly resourceType: ResourceType
  readonly key: string
  readonly value: string
}

/** For reading only: `cloud/resources/tags.ts` writes them. */
export const tagRows = defineKind<TagRecord>({
  name: tagKind,
  prefix: tagKind,
  schema: 1,
  notFound: ["InvalidID", "The ID '{id}' is not valid"],
  malformed: ["InvalidID", "The ID '{id}' is not valid"],
  facets: () => ({}),
})

/** DescribeTags, 5 to 1,000 a page. */
const describeTags: Handler<"DescribeTags"> = async (input, call) => {
  const page = await call.describe({
    kind: tagRows,
    filterNames: ["key", "resource-id", "resource-type", "value"],
    ...asked(input),
  })
  return {
    Tags: page.items.map(({ record }) => ({
      Key: record.key,
      Value: record.value,
      ResourceId: record.resource,
      ResourceType: record.resourceType,
    })),
    ...nextToken(page),
  }
}

export const handlers = {
  CreateTags: createTags,
  DeleteTags: deleteTags,
  DescribeTags: pure(describeTags),
} satisfies Handlers
