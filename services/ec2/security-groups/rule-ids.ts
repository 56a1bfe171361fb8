/** Rules named by their ids. */
import { isId } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { RuleRecord } from "./record.ts"

/** Throws InvalidSecurityGroupRuleId.Malformed. */
export function requireRuleId(id: string): void {
  if (!isId("sgr", id)) throw raise("InvalidSecurityGroupRuleId.Malformed", { id })
}

/** The rules of these ids among `rules`, each once. Throws InvalidSecurityGroupRuleId.Malformed and .NotFound. */
export function requireRules(rules: readonly RuleRecord[], ids: readonly string[]): readonly RuleRecord[] {
  return [...new Set(ids)].map((id) => {
    requireRuleId(id)
    const rule = rules.find((rule) => rule.id === id)
    if (rule === undefined) throw raise("InvalidSecurityGroupRuleId.NotFound", { id })
    return rule
  })
}
