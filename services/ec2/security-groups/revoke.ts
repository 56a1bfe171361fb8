/** RevokeSecurityGroupIngress and -Egress, by permissions or by rule ids. */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import type { Handler, Output } from "../handler.ts"
import { defaultVpcOf } from "../vpcs/default.ts"
import { showPermissions, showRevoked } from "./answer.ts"
import { putRules } from "./change.ts"
import { requireGroup } from "./find.ts"
import { inTurn } from "./in-turn.ts"
import { type GivenPermissions, readPermissions, ruleKey } from "./permissions.ts"
import { requireRules } from "./rule-ids.ts"
import type { RuleRecord } from "./record.ts"

interface Given extends GivenPermissions {
  readonly GroupId?: string | undefined
  readonly GroupName?: string | undefined
  readonly SecurityGroupRuleIds?: string[] | undefined
}

/**
 * Permissions that match no rule are an InvalidPermission.NotFound, with nothing revoked; in the default VPC they come back as
 * UnknownIpPermissions and the others are revoked. A rule id that is not of this group and direction is
 * InvalidSecurityGroupRuleId.NotFound.
 */
async function revoke(input: Given, call: Call, egress: boolean): Promise<Output<"RevokeSecurityGroupIngress">> {
  const { SecurityGroupRuleIds: ids = [] } = input
  if (ids.length > 0 && (input.IpPermissions?.length ?? 0) > 0)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter securityGroupRuleIds cannot be used with the parameter ipPermissions",
    })
  const group = await requireGroup(call, input)
  call.authorize(`ec2:${call.info.operation}`, group)
  const side = group.record.rules.filter((rule) => rule.egress === egress)
  const wanted = ids.length > 0 ? requireRules(side, ids) : await readPermissions(call, group, input, egress)
  const byKey = new Map(side.map((rule) => [ruleKey(rule), rule]))
  const revoked = wanted
    .map((rule) => byKey.get(ruleKey(rule)))
    .filter((rule): rule is RuleRecord => rule !== undefined)
  const unknown = wanted.filter((rule) => !byKey.has(ruleKey(rule)))
  if (unknown.length > 0 && (await defaultVpcOf(call))?.id !== group.record.vpc)
    throw raise("InvalidPermission.NotFound")
  if (revoked.length > 0)
    await putRules(
      call,
      group,
      group.record.rules.filter((rule) => !revoked.includes(rule)),
    )
  await call.commit()
  return {
    Return: true,
    ...(unknown.length > 0 ? { UnknownIpPermissions: showPermissions(unknown) } : {}),
    RevokedSecurityGroupRules: revoked.map((rule) => showRevoked(group, rule)),
  }
}

export const revokeSecurityGroupIngress: Handler<"RevokeSecurityGroupIngress"> = inTurn((input, call) =>
  revoke(input, call, false),
)
export const revokeSecurityGroupEgress: Handler<"RevokeSecurityGroupEgress"> = inTurn((input, call) =>
  revoke(input, call, true),
)
