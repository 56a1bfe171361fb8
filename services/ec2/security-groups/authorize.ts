/** AuthorizeSecurityGroupIngress and -Egress. */
import type { TagSpecification } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Handler, Output } from "../handler.ts"
import { tagsFor } from "../tags/specifications.ts"
import { showRule } from "./answer.ts"
import { newRules, putRules } from "./change.ts"
import { requireGroup } from "./find.ts"
import { inTurn } from "./in-turn.ts"
import { type GivenPermissions, readPermissions } from "./permissions.ts"

interface Given extends GivenPermissions {
  readonly GroupId?: string | undefined
  readonly GroupName?: string | undefined
  readonly TagSpecifications?: TagSpecification[] | undefined
}

/** All rules or none. InvalidPermission.Duplicate, RulesPerSecurityGroupLimitExceeded, InvalidParameterValue, InvalidGroup.NotFound. */
async function authorize(input: Given, call: Call, egress: boolean): Promise<Output<"AuthorizeSecurityGroupIngress">> {
  const tags = tagsFor(input.TagSpecifications, "security-group-rule")
  const group = await requireGroup(call, input)
  call.authorize(`ec2:${call.info.operation}`, group)
  const added = newRules(await readPermissions(call, group, input, egress), tags)
  const changed = await putRules(call, group, [...group.record.rules, ...added])
  await call.commit()
  return { Return: true, SecurityGroupRules: added.map((rule) => showRule(changed, rule)) }
}

export const authorizeSecurityGroupIngress: Handler<"AuthorizeSecurityGroupIngress"> = inTurn((input, call) =>
  authorize(input, call, false),
)
export const authorizeSecurityGroupEgress: Handler<"AuthorizeSecurityGroupEgress"> = inTurn((input, call) =>
  authorize(input, call, true),
)
