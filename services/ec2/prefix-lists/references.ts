/**
 * What refers to a prefix list: rules of security groups. Their filters hold the list's entries, so a change of the list is told to the host
 * with the change itself. Versions are expected all around, so that of two calls that meet the later one looks again.
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { assignGroup } from "../security-groups/assignment.ts"
import { exceedsRules, listsOf } from "../security-groups/rule-count.ts"
import { type SecurityGroupRecord, securityGroupKind } from "../security-groups/record.ts"
import { type PrefixListRecord, prefixListKind } from "./record.ts"

type Group = Resource<SecurityGroupRecord>
type List = Resource<PrefixListRecord>

/** Groups with a rule of this list, in the order of their ids. */
export async function groupsOf(call: Call, list: List): Promise<readonly Group[]> {
  const references = await call.store.related([list.id], "to", "blocks")
  const groups = await call.load(
    securityGroupKind,
    references.map(({ from }) => from),
  )
  return [...groups.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** Puts into the draft what the hosts have to filter by from now on: `list` as it is after the change. */
export async function followList(call: Call, list: List): Promise<void> {
  const groups = await groupsOf(call, list)
  const lists = new Map(
    await call.load(
      prefixListKind,
      groups.flatMap(({ record }) => listsOf(record.rules)),
    ),
  )
  lists.delete(list.id)
  for (const other of lists.values()) call.draft.expect(other)
  lists.set(list.id, list)
  for (const group of groups) {
    call.draft.expect(group)
    assignGroup(call, group, lists)
  }
}

/** Ids of groups that could not have a list of this size. */
export async function groupsTooSmall(call: Call, list: List, maxEntries: number): Promise<readonly string[]> {
  const groups = await groupsOf(call, list)
  const lists = new Map(
    await call.load(
      prefixListKind,
      groups.flatMap(({ record }) => listsOf(record.rules)),
    ),
  )
  lists.set(list.id, { ...list, record: { ...list.record, maxEntries } })
  for (const group of groups) call.draft.expect(group)
  return groups.filter(({ record }) => exceedsRules(record.rules, lists)).map(({ id }) => id)
}
