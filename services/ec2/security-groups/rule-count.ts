/** How much of the quota "Inbound or outbound rules per security group" rules take, for each direction and address family. */
import type { PrefixLists } from "../prefix-lists/record.ts"
import { rulesPerGroup } from "./quotas.ts"
import type { RuleRecord } from "./record.ts"

/** A rule that names a group counts in both families; one that names a prefix list counts as all that the list may ever hold. */
export function exceedsRules(rules: readonly RuleRecord[], lists: PrefixLists): boolean {
  const count = (egress: boolean, family: "IPv4" | "IPv6") =>
    rules.reduce((sum, rule) => sum + (rule.egress === egress ? weight(rule, family, lists) : 0), 0)
  return [false, true].some((egress) => count(egress, "IPv4") > rulesPerGroup || count(egress, "IPv6") > rulesPerGroup)
}

function weight(rule: RuleRecord, family: "IPv4" | "IPv6", lists: PrefixLists): number {
  if (rule.cidr !== undefined) return family === "IPv4" ? 1 : 0
  if (rule.cidr6 !== undefined) return family === "IPv6" ? 1 : 0
  if (rule.prefixList === undefined) return 1
  const list = lists.get(rule.prefixList)?.record
  return list?.family === family ? list.maxEntries : 0
}

/** Ids of the prefix lists that rules name, each once. */
export function listsOf(rules: readonly RuleRecord[]): readonly string[] {
  return [...new Set(rules.flatMap(({ prefixList }) => prefixList ?? []))]
}
