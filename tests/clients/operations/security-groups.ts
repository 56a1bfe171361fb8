import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"

export const groups = {
  async CreateSecurityGroup({ ec2, refusal, name }) {
    const GroupName = name()
    const group = { GroupName, Description: "first" }
    const { GroupId = "" } = await ec2("CreateSecurityGroup", group)
    const { SecurityGroups: [shown] = [] } = await ec2("DescribeSecurityGroups", { GroupIds: [GroupId] })
    assert.deepEqual(
      [shown?.GroupName, shown?.IpPermissions, shown?.IpPermissionsEgress?.[0]?.IpProtocol],
      [GroupName, [], "-1"],
    )
    assert.equal(await refusal("CreateSecurityGroup", group), "400 InvalidGroup.Duplicate")
    const elsewhere = { ...group, VpcId: "vpc-00000000" }
    assert.equal(await refusal("CreateSecurityGroup", elsewhere), "400 InvalidVpcID.NotFound")
    const reserved = { ...group, GroupName: "default" }
    assert.equal(await refusal("CreateSecurityGroup", reserved), "400 InvalidParameterValue")
    const dry = { ...group, GroupName: name(), DryRun: true }
    assert.equal(await refusal("CreateSecurityGroup", dry), "412 DryRunOperation")
    assert.equal(await refusal("DescribeSecurityGroups", { GroupNames: [dry.GroupName] }), "400 InvalidGroup.NotFound")
  },

  async DescribeSecurityGroups({ ec2, refusal, name }) {
    const GroupName = name()
    const TagSpecifications = [{ ResourceType: "security-group" as const, Tags: [{ Key: "own", Value: GroupName }] }]
    const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName, Description: "found", TagSpecifications })
    await ec2("AuthorizeSecurityGroupIngress", {
      GroupId,
      IpProtocol: "udp",
      FromPort: 53,
      ToPort: 53,
      CidrIp: "192.0.2.7/32",
    })
    for (const input of [
      { GroupNames: [GroupName] },
      { Filters: [{ Name: "tag:own", Values: [GroupName] }] },
      { Filters: [{ Name: "ip-permission.cidr", Values: ["192.0.2.7/32"] }] },
    ]) {
      const { SecurityGroups = [] } = await ec2("DescribeSecurityGroups", input)
      assert.deepEqual(
        SecurityGroups.map((group) => [group.GroupId, group.IpPermissions?.[0]?.FromPort]),
        [[GroupId, 53]],
      )
    }
    assert.equal(await refusal("DescribeSecurityGroups", { GroupIds: ["sg-00000000"] }), "400 InvalidGroup.NotFound")
    assert.equal(await refusal("DescribeSecurityGroups", { GroupIds: ["group"] }), "400 InvalidGroupId.Malformed")
  },

  async DeleteSecurityGroup({ ec2, refusal, name, launch, daemon }) {
    const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName: name(), Description: "to go" })
    const [instance] = await launch({ SecurityGroupIds: [GroupId] })
    assert.equal(await refusal("DeleteSecurityGroup", { GroupId }), "400 DependencyViolation")
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    await daemon.settled()
    assert.equal(await refusal("DeleteSecurityGroup", { GroupId, DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2("DeleteSecurityGroup", { GroupId })).Return, true)
    assert.equal(await refusal("DeleteSecurityGroup", { GroupId }), "400 InvalidGroup.NotFound")
    const { SecurityGroups: [own] = [] } = await ec2("DescribeSecurityGroups", { GroupNames: ["default"] })
    assert.equal(await refusal("DeleteSecurityGroup", { GroupId: own?.GroupId }), "400 CannotDelete")
  },
} satisfies Checks
