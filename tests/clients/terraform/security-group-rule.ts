/** Rules that go by their ids: aws_vpc_security_group_ingress_rule and aws_vpc_security_group_egress_rule. */
import assert from "node:assert/strict"
import type { TestCloud } from "../operations/cloud.ts"
import { only, type Replay, type State, tagged, tagsOf } from "./replay.ts"
import { deleteGroup, newGroup } from "./security-group.ts"

const gone = ["InvalidSecurityGroupRuleId.NotFound"]

async function readRule({ ec2, daemon }: TestCloud, id: string): Promise<State | undefined> {
  const find = async () => (await ec2("DescribeSecurityGroupRules", { SecurityGroupRuleIds: [id] })).SecurityGroupRules
  const rule = await only(find(), ({ SecurityGroupRuleId }) => SecurityGroupRuleId === id, gone)
  if (rule === undefined) return undefined
  const { GroupId, UserId } = rule.ReferencedGroupInfo ?? {}
  const own = UserId === undefined || UserId === daemon.credentials.account
  return {
    security_group_id: rule.GroupId,
    egress: rule.IsEgress,
    cidr_ipv4: rule.CidrIpv4,
    description: rule.Description,
    ip_protocol: rule.IpProtocol,
    from_port: rule.FromPort === -1 ? undefined : rule.FromPort,
    to_port: rule.ToPort === -1 ? undefined : rule.ToPort,
    referenced_security_group_id: own ? GroupId : `${UserId}/${GroupId}`,
    tags: tagsOf(rule.Tags),
  }
}

const https = (CidrIpv4: string, Description: string) => ({
  IpProtocol: "tcp",
  FromPort: 443,
  ToPort: 443,
  CidrIpv4,
  Description,
})

export const ingressRule: Replay = {
  resource: "aws_vpc_security_group_ingress_rule",
  async create(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud, "terraform-ingress")
    const IpRanges = [{ CidrIp: "192.0.2.0/24", Description: "first" }]
    const rule = { GroupId, IpPermissions: [{ IpProtocol: "tcp", FromPort: 443, ToPort: 443, IpRanges }] }
    const { SecurityGroupRules } = await ec2("AuthorizeSecurityGroupIngress", {
      ...rule,
      TagSpecifications: [tagged("security-group-rule", { step: "first" })],
    })
    // An answer without rules would end the provider: one that is there already is an error.
    assert.equal(await refusal("AuthorizeSecurityGroupIngress", rule), "400 InvalidPermission.Duplicate")
    return SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? assert.fail("no rule")
  },
  read: readRule,
  planned: {
    egress: false,
    cidr_ipv4: "192.0.2.0/24",
    description: "first",
    ip_protocol: "tcp",
    from_port: 443,
    to_port: 443,
    referenced_security_group_id: undefined,
    tags: { step: "first" },
  },
  async update({ ec2 }, id, before) {
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
    await ec2("ModifySecurityGroupRules", {
      GroupId: String(before["security_group_id"]),
      SecurityGroupRules: [{ SecurityGroupRuleId: id, SecurityGroupRule: https("198.51.100.0/24", "second") }],
    })
  },
  changed: { cidr_ipv4: "198.51.100.0/24", description: "second", tags: { step: "second" } },
  async destroy(cloud, id, before) {
    const GroupId = String(before["security_group_id"])
    await cloud.ec2("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds: [id] })
    await deleteGroup(cloud, GroupId)
  },
}

export const egressRule: Replay = {
  resource: "aws_vpc_security_group_egress_rule",
  async create(cloud) {
    const GroupId = await newGroup(cloud, "terraform-egress")
    const { SecurityGroupRules } = await cloud.ec2("AuthorizeSecurityGroupEgress", {
      GroupId,
      IpPermissions: [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId }] }],
    })
    return SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? assert.fail("no rule")
  },
  async read(cloud, id) {
    const { referenced_security_group_id: referenced, ...rule } = (await readRule(cloud, id)) ?? {}
    return referenced === undefined ? undefined : { ...rule, itself: referenced === rule["security_group_id"] }
  },
  planned: { egress: true, ip_protocol: "-1", from_port: undefined, to_port: undefined, itself: true, tags: {} },
  async update({ ec2 }, id) {
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy(cloud, id, before) {
    const GroupId = String(before["security_group_id"])
    await cloud.ec2("RevokeSecurityGroupEgress", { GroupId, SecurityGroupRuleIds: [id] })
    await deleteGroup(cloud, GroupId)
  },
}
