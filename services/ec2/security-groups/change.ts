/** Every change of a group's rules passes here: limits, references, the record, the host's filter. */
import type { Call } from "#cloud/call.ts"
import { newId, type Resource, type Tag } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { rulesPerGroup } from "./quotas.ts"
import { assignGroup } from "./assignment.ts"
import { peerOf, ruleKey, type Wish } from "./permissions.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"

/** Quota "Inbound or outbound rules per security group". */

/**
 * Gives the group these rules in the draft. A referenced group cannot be deleted while a rule of another group names it.
 * Throws InvalidPermission.Duplicate, RulesPerSecurityGroupLimitExceeded.
 */
export function putRules(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  rules: readonly RuleRecord[],
): Resource<SecurityGroupRecord> {
  refuseDuplicates(rules)
  refuseTooMany(rules)
  const before = referenced(group.id, group.record.rules)
  const after = referenced(group.id, rules)
  for (const id of after) if (!before.has(id)) call.draft.link(group.id, id, "blocks")
  for (const id of before) if (!after.has(id)) call.draft.unlink(group.id, id, "blocks")
  const changed = call.draft.update(securityGroupKind, group, { ...group.record, rules })
  assignGroup(call, changed)
  return changed
}

/** New rules of these wishes, all with the same tags. */
export function newRules(wishes: readonly Wish[], tags: readonly Tag[]): readonly RuleRecord[] {
  return wishes.map((wish) => ({ ...wish, id: newId("sgr"), tags }))
}

function referenced(self: string, rules: readonly RuleRecord[]): ReadonlySet<string> {
  return new Set(rules.flatMap(({ group }) => (group === undefined || group.id === self ? [] : [group.id])))
}

function refuseDuplicates(rules: readonly RuleRecord[]): void {
  const seen = new Set<string>()
  for (const rule of rules) {
    const key = ruleKey(rule)
    if (seen.has(key)) throw raise("InvalidPermission.Duplicate", { rule: inWords(rule) })
    seen.add(key)
  }
}

/** Counted for each direction and each IP family; a rule that names a group counts in both. */
function refuseTooMany(rules: readonly RuleRecord[]): void {
  for (const egress of [false, true]) {
    const side = rules.filter((rule) => rule.egress === egress)
    const version4 = side.filter((rule) => rule.cidr6 === undefined)
    const version6 = side.filter((rule) => rule.cidr === undefined)
    if (version4.length > rulesPerGroup || version6.length > rulesPerGroup)
      throw raise("RulesPerSecurityGroupLimitExceeded")
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
