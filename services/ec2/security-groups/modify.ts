/** ModifySecurityGroupRules. */
import type { SecurityGroupRuleRequest } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { prefixListKind } from "../prefix-lists/record.ts"
import { putRules } from "./change.ts"
import { readCidr, readCidr6 } from "./cidr.ts"
import { requireGroup, requireInSameNetwork } from "./find.ts"
import { inTurn } from "./in-turn.ts"
import { readDescription } from "./permissions.ts"
import { readTraffic } from "./protocols.ts"
import type { RuleRecord, SecurityGroupRecord } from "./record.ts"
import { requireRules } from "./rule-ids.ts"

/**
 * Every rule named is replaced by what is given for it, all or none; ids, tags and directions stay. A rule keeps the kind of its other
 * side: IPv4, IPv6, prefix list or group. InvalidSecurityGroupRuleId.NotFound, InvalidPermission.Duplicate.
 */
export const modifySecurityGroupRules: Handler<"ModifySecurityGroupRules"> = inTurn(async (input, call) => {
  const updates = input.SecurityGroupRules ?? []
  if (updates.length === 0) throw raise("MissingParameter", { name: "SecurityGroupRules" })
  const group = await requireGroup(call, { GroupId: input.GroupId })
  call.authorize("ec2:ModifySecurityGroupRules", group)
  const changed = new Map<string, RuleRecord>()
  for (const { SecurityGroupRuleId: id, SecurityGroupRule: request } of updates) {
    if (id === undefined) throw raise("MissingParameter", { name: "SecurityGroupRuleId" })
    if (request === undefined) throw raise("MissingParameter", { name: "SecurityGroupRule" })
    if (changed.has(id)) throw invalid(`The security group rule ID '${id}' must not appear multiple times`)
    for (const rule of requireRules(group.record.rules, [id]))
      changed.set(id, await readRule(call, group, rule, request))
  }
  await putRules(
    call,
    group,
    group.record.rules.map((rule) => changed.get(rule.id) ?? rule),
  )
  await call.commit()
  return { Return: true }
})

async function readRule(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  before: RuleRecord,
  request: SecurityGroupRuleRequest,
): Promise<RuleRecord> {
  const { CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId } = request
  const given = [CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId].filter((value) => value !== undefined)
  if (given.length !== 1)
    throw raise(given.length === 0 ? "MissingParameter" : "InvalidParameterCombination", {
      name: "CidrIpv4, CidrIpv6, PrefixListId or ReferencedGroupId",
      detail: "Only one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId can be specified",
    })
  const sameKind =
    (CidrIpv4 === undefined) === (before.cidr === undefined) &&
    (CidrIpv6 === undefined) === (before.cidr6 === undefined) &&
    (PrefixListId === undefined) === (before.prefixList === undefined)
  if (!sameKind)
    throw invalid(`The source or destination type of the security group rule '${before.id}' cannot be changed`)
  refusePortsOfAll(request)
  const { id, egress, tags } = before
  return {
    id,
    egress,
    tags,
    ...readTraffic(request),
    ...(CidrIpv4 === undefined ? {} : { cidr: readCidr(CidrIpv4) }),
    ...(CidrIpv6 === undefined ? {} : { cidr6: readCidr6(CidrIpv6) }),
    ...(PrefixListId === undefined ? {} : { prefixList: (await call.require(prefixListKind, PrefixListId)).id }),
    ...(ReferencedGroupId === undefined ? {} : { group: await readGroup(call, group, ReferencedGroupId) }),
    ...readDescription(request.Description),
  }
}

/** Authorize overlooks ports given with all protocols, this operation does not; 0 to 0 is how older tools say "none". */
function refusePortsOfAll({ IpProtocol, FromPort, ToPort }: SecurityGroupRuleRequest): void {
  const isNone = (port: number | undefined) => port === undefined || port === -1 || (FromPort === 0 && ToPort === 0)
  if (IpProtocol === "-1" && !(isNone(FromPort) && isNone(ToPort)))
    throw invalid(
      "You may not specify all protocols and specific ports. Please specify each protocol and port range combination individually, or all protocols and no port range.",
    )
}

async function readGroup(call: Call, group: Resource<SecurityGroupRecord>, id: string) {
  const other = await requireInSameNetwork(call, group, id)
  return { id, account: other.account, name: other.record.name }
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
