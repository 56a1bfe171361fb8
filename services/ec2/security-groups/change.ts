/** Every change of a group's rules passes here: limits, references, the record, the host's filter. */
import type { Call } from "#cloud/call.ts"
import { newId, type Resource, type Tag } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { prefixListKind } from "../prefix-lists/record.ts"
import { assignGroup } from "./assignment.ts"
import { peerOf, ruleKey, type Wish } from "./permissions.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"
import { exceedsRules, listsOf } from "./rule-count.ts"

/**
 * Gives the group these rules in the draft. A referenced group or prefix list cannot be deleted while a rule of another group names it.
 * Throws InvalidPermission.Duplicate, RulesPerSecurityGroupLimitExceeded.
 */
export async function putRules(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  rules: readonly RuleRecord[],
): Promise<Resource<SecurityGroupRecord>> {
  refuseDuplicates(rules)
  const lists = await call.load(prefixListKind, listsOf(rules))
  if (exceedsRules(rules, lists)) throw raise("RulesPerSecurityGroupLimitExceeded")
  const before = referenced(group.id, group.record.rules)
  const after = referenced(group.id, rules)
  for (const id of after) if (!before.has(id)) call.draft.link(group.id, id, "blocks")
  for (const id of before) if (!after.has(id)) call.draft.unlink(group.id, id, "blocks")
  for (const list of lists.values())
    // A list that changes at this moment has to see a new reference, and this its entries.
    if (before.has(list.id)) call.draft.expect(list)
    else call.draft.update(prefixListKind, list, list.record)
  const changed = call.draft.update(securityGroupKind, group, { ...group.record, rules })
  assignGroup(call, changed, lists)
  return changed
}

/** New rules of these wishes, all with the same tags. */
export function newRules(wishes: readonly Wish[], tags: readonly Tag[]): readonly RuleRecord[] {
  return wishes.map((wish) => ({ ...wish, id: newId("sgr"), tags }))
}

function referenced(self: string, rules: readonly RuleRecord[]): ReadonlySet<string> {
  const groups = rules.flatMap(({ group }) => (group === undefined || group.id === self ? [] : [group.id]))
  return new Set([...groups, ...listsOf(rules)])
}

function refuseDuplicates(rules: readonly RuleRecord[]): void {
  const seen = new Set<string>()
  for (const rule of rules) {
    const key = ruleKey(rule)
    if (seen.has(key)) throw raise("InvalidPermission.Duplicate", { rule: inWords(rule) })
    seen.add(key)
  }
}

function inWords(rule: RuleRecord): string {
  const { protocol, fromPort, toPort } = rule
  const name = protocol === "-1" ? "ALL" : protocol.toUpperCase()
  const range =
    protocol === "tcp" || protocol === "udp"
      ? `, from port: ${fromPort}, to port: ${toPort}`
      : protocol.startsWith("icmp")
        ? `, type: ${fromPort}, code: ${toPort}`
        : ""
  return `peer: ${peerOf(rule)}, ${name}${range}, ALLOW`
}
