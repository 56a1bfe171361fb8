/** UpdateSecurityGroupRuleDescriptionsIngress and -Egress: words only, so the host has nothing to do. */
import type { IpPermission, SecurityGroupRuleDescription } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Output } from "../handler.ts"
import { requireGroup } from "./find.ts"
import { inTurn } from "./in-turn.ts"
import { readDescription, readPermissions, ruleKey } from "./permissions.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"
import { requireRules } from "./rule-ids.ts"

interface Given {
  readonly GroupId?: string | undefined
  readonly GroupName?: string | undefined
  readonly IpPermissions?: IpPermission[] | undefined
  readonly SecurityGroupRuleDescriptions?: SecurityGroupRuleDescription[] | undefined
}

/** A rule given without a description loses it. InvalidPermission.NotFound, InvalidSecurityGroupRuleId.NotFound. */
async function update(
  input: Given,
  call: Call,
  egress: boolean,
): Promise<Output<"UpdateSecurityGroupRuleDescriptionsIngress">> {
  const { IpPermissions: permissions = [], SecurityGroupRuleDescriptions: byId = [] } = input
  if (permissions.length > 0 && byId.length > 0)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter ipPermissions cannot be used with the parameter securityGroupRuleDescriptions",
    })
  const group = await requireGroup(call, input)
  call.authorize(`ec2:${call.info.operation}`, group)
  const words = byId.length > 0 ? readById(group, byId, egress) : await readByPermissions(call, group, input, egress)
  const rules = group.record.rules.map((rule) => {
    const { description: _, ...rest } = rule
    const found = words.get(rule.id)
    return found === undefined ? rule : { ...rest, ...found }
  })
  call.draft.update(securityGroupKind, group, { ...group.record, rules })
  await call.commit()
  return { Return: true }
}

type Words = ReadonlyMap<string, Pick<RuleRecord, "description">>

function readById(
  group: Resource<SecurityGroupRecord>,
  given: readonly SecurityGroupRuleDescription[],
  egress: boolean,
): Words {
  const side = group.record.rules.filter((rule) => rule.egress === egress)
  return new Map(
    given.map(({ SecurityGroupRuleId: id, Description }) => {
      if (id === undefined) throw raise("MissingParameter", { name: "SecurityGroupRuleId" })
      requireRules(side, [id])
      return [id, readDescription(Description)]
    }),
  )
}

async function readByPermissions(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  input: Given,
  egress: boolean,
): Promise<Words> {
  const byKey = new Map(group.record.rules.map((rule) => [ruleKey(rule), rule.id]))
  const wishes = await readPermissions(call, group, { IpPermissions: input.IpPermissions }, egress)
  return new Map(
    wishes.map((wish) => {
      const id = byKey.get(ruleKey(wish))
      if (id === undefined) throw raise("InvalidPermission.NotFound")
      return [id, wish.description === undefined ? {} : { description: wish.description }]
    }),
  )
}

export const updateSecurityGroupRuleDescriptionsIngress: Handler<"UpdateSecurityGroupRuleDescriptionsIngress"> = inTurn(
  (input, call) => update(input, call, false),
)
export const updateSecurityGroupRuleDescriptionsEgress: Handler<"UpdateSecurityGroupRuleDescriptionsEgress"> = inTurn(
  (input, call) => update(input, call, true),
)
