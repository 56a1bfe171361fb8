import assert from "node:assert/strict"
import type { IpPermission } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const port = (FromPort: number, CidrIp = "192.0.2.0/24", Description?: string): IpPermission => ({
  IpProtocol: "tcp",
  FromPort,
  ToPort: FromPort,
  IpRanges: [Description === undefined ? { CidrIp } : { CidrIp, Description }],
})

const newGroup = async ({ ec2, name }: TestCloud): Promise<string> =>
  (await ec2("CreateSecurityGroup", { GroupName: name(), Description: "of rules" })).GroupId ?? ""

/** [egress, protocol, port, range, description], sorted. */
async function rulesOf({ ec2 }: TestCloud, group: string): Promise<readonly unknown[][]> {
  const { SecurityGroupRules = [] } = await ec2("DescribeSecurityGroupRules", {
    Filters: [{ Name: "group-id", Values: [group] }],
  })
  return SecurityGroupRules.map((rule) => [
    rule.IsEgress === true ? "out" : "in",
    rule.IpProtocol,
    rule.FromPort,
    rule.CidrIpv4,
    rule.Description ?? "",
  ]).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

const allOut = ["out", "-1", -1, "0.0.0.0/0", ""]

export const rules = {
  async AuthorizeSecurityGroupIngress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    await ec2("AuthorizeSecurityGroupIngress", {
      GroupId,
      IpPermissions: [port(22), port(80, "198.51.100.1/32", "web")],
    })
    const expected = [["in", "tcp", 22, "192.0.2.0/24", ""], ["in", "tcp", 80, "198.51.100.1/32", "web"], allOut]
    assert.deepEqual(await rulesOf(cloud, GroupId), expected)
    const of = (...IpPermissions: IpPermission[]) =>
      refusal("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions })
    // All or none: the first of the two is new.
    assert.equal(await of(port(443), port(22)), "400 InvalidPermission.Duplicate")
    assert.equal(await of(port(443, "192.0.2.0/33")), "400 InvalidParameterValue")
    assert.equal(await of(port(70_000)), "400 InvalidParameterValue")
    const pair = { IpProtocol: "tcp", FromPort: 1, ToPort: 1, UserIdGroupPairs: [{ GroupId: "sg-00000000" }] }
    assert.equal(await of(pair), "400 InvalidGroup.NotFound")
    const many = Array.from({ length: 60 }, (_, index) => port(1000 + index))
    assert.equal(await of(...many), "400 RulesPerSecurityGroupLimitExceeded")
    const dry = { GroupId, IpPermissions: [port(443)], DryRun: true }
    assert.equal(await refusal("AuthorizeSecurityGroupIngress", dry), "412 DryRunOperation")
    assert.deepEqual(await rulesOf(cloud, GroupId), expected)
  },

  async AuthorizeSecurityGroupEgress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    const { SecurityGroupRules = [] } = await ec2("AuthorizeSecurityGroupEgress", {
      GroupId,
      IpPermissions: [port(25)],
    })
    assert.equal(SecurityGroupRules[0]?.IsEgress, true)
    assert.deepEqual(await rulesOf(cloud, GroupId), [allOut, ["out", "tcp", 25, "192.0.2.0/24", ""]])
    const again = { GroupId, IpPermissions: [port(25)] }
    assert.equal(await refusal("AuthorizeSecurityGroupEgress", again), "400 InvalidPermission.Duplicate")
    assert.equal(await refusal("AuthorizeSecurityGroupEgress", { GroupId }), "400 MissingParameter")
  },

  async RevokeSecurityGroupIngress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    const made = await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [port(22), port(80)] })
    await ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: [port(22)] })
    assert.deepEqual(await rulesOf(cloud, GroupId), [["in", "tcp", 80, "192.0.2.0/24", ""], allOut])
    const SecurityGroupRuleIds = made.SecurityGroupRules?.filter((rule) => rule.FromPort === 80).map(
      (rule) => rule.SecurityGroupRuleId ?? "",
    )
    await ec2("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds })
    assert.deepEqual(await rulesOf(cloud, GroupId), [allOut])
    const again = await refusal("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds })
    assert.equal(again, "400 InvalidSecurityGroupRuleId.NotFound")
    // In the default VPC a permission that is not there comes back in the answer.
    const { UnknownIpPermissions } = await ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: [port(22)] })
    assert.equal(UnknownIpPermissions?.[0]?.FromPort, 22)
  },

  async RevokeSecurityGroupEgress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    await ec2("RevokeSecurityGroupEgress", {
      GroupId,
      IpPermissions: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    })
    assert.deepEqual(await rulesOf(cloud, GroupId), [])
    const unknown = { GroupId, SecurityGroupRuleIds: ["sgr-00000000000000000"] }
    assert.equal(await refusal("RevokeSecurityGroupEgress", unknown), "400 InvalidSecurityGroupRuleId.NotFound")
    const nowhere = { GroupId: "sg-00000000", IpPermissions: [port(1)] }
    assert.equal(await refusal("RevokeSecurityGroupEgress", nowhere), "400 InvalidGroup.NotFound")
  },

  async ModifySecurityGroupRules(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    const made = await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [port(22)] })
    const SecurityGroupRuleId = made.SecurityGroupRules?.[0]?.SecurityGroupRuleId
    const change = (SecurityGroupRule: object) => ({
      GroupId,
      SecurityGroupRules: [{ SecurityGroupRuleId, SecurityGroupRule }],
    })
    const to = { IpProtocol: "tcp", FromPort: 2222, ToPort: 2222, CidrIpv4: "198.51.100.0/24", Description: "moved" }
    await ec2("ModifySecurityGroupRules", change(to))
    assert.deepEqual(await rulesOf(cloud, GroupId), [["in", "tcp", 2222, "198.51.100.0/24", "moved"], allOut])
    assert.equal(
      await refusal("ModifySecurityGroupRules", change({ ...to, CidrIpv4: undefined, CidrIpv6: "::/0" })),
      "400 InvalidParameterValue",
    )
    const other = {
      GroupId,
      SecurityGroupRules: [{ SecurityGroupRuleId: "sgr-00000000000000000", SecurityGroupRule: to }],
    }
    assert.equal(await refusal("ModifySecurityGroupRules", other), "400 InvalidSecurityGroupRuleId.NotFound")
  },

  async DescribeSecurityGroupRules(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    const made = await ec2("AuthorizeSecurityGroupIngress", {
      GroupId,
      IpPermissions: [port(22)],
      TagSpecifications: [{ ResourceType: "security-group-rule", Tags: [{ Key: "of", Value: GroupId }] }],
    })
    const id = made.SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? ""
    for (const input of [{ SecurityGroupRuleIds: [id] }, { Filters: [{ Name: "tag:of", Values: [GroupId] }] }]) {
      const { SecurityGroupRules = [] } = await ec2("DescribeSecurityGroupRules", input)
      assert.deepEqual(
        SecurityGroupRules.map((rule) => [rule.SecurityGroupRuleId, rule.GroupId, rule.FromPort]),
        [[id, GroupId, 22]],
      )
    }
    const malformed = { SecurityGroupRuleIds: ["rule"] }
    assert.equal(await refusal("DescribeSecurityGroupRules", malformed), "400 InvalidSecurityGroupRuleId.Malformed")
    const missing = { SecurityGroupRuleIds: ["sgr-00000000000000000"] }
    assert.equal(await refusal("DescribeSecurityGroupRules", missing), "400 InvalidSecurityGroupRuleId.NotFound")
  },

  async UpdateSecurityGroupRuleDescriptionsIngress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [port(22, "192.0.2.0/24", "old")] })
    const IpPermissions = [port(22, "192.0.2.0/24", "new")]
    await ec2("UpdateSecurityGroupRuleDescriptionsIngress", { GroupId, IpPermissions })
    assert.deepEqual(await rulesOf(cloud, GroupId), [["in", "tcp", 22, "192.0.2.0/24", "new"], allOut])
    const other = { GroupId, IpPermissions: [port(23)] }
    const said = await refusal("UpdateSecurityGroupRuleDescriptionsIngress", other)
    assert.equal(said, "400 InvalidPermission.NotFound")
  },

  async UpdateSecurityGroupRuleDescriptionsEgress(cloud) {
    const { ec2, refusal } = cloud
    const GroupId = await newGroup(cloud)
    const made = await ec2("AuthorizeSecurityGroupEgress", { GroupId, IpPermissions: [port(25)] })
    const SecurityGroupRuleId = made.SecurityGroupRules?.[0]?.SecurityGroupRuleId
    const describe = (Description: string) => ({
      GroupId,
      SecurityGroupRuleDescriptions: [{ SecurityGroupRuleId, Description }],
    })
    await ec2("UpdateSecurityGroupRuleDescriptionsEgress", describe("mail"))
    assert.deepEqual(await rulesOf(cloud, GroupId), [allOut, ["out", "tcp", 25, "192.0.2.0/24", "mail"]])
    const long = await refusal("UpdateSecurityGroupRuleDescriptionsEgress", describe("x".repeat(256)))
    assert.equal(long, "400 InvalidParameterValue")
  },
} satisfies Checks
