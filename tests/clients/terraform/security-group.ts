import assert from "node:assert/strict"
import type { IpPermission, SecurityGroup } from "@aws-sdk/client-ec2"
import type { TestCloud } from "../operations/cloud.ts"
import { only, type Replay, tagged, tagsOf } from "./replay.ts"

const gone = ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"]

function find({ ec2 }: TestCloud, id: string): Promise<SecurityGroup | undefined> {
  const asked = async () => (await ec2("DescribeSecurityGroups", { GroupIds: [id] })).SecurityGroups
  return only(asked(), ({ GroupId }) => GroupId === id, gone)
}

/** As inline blocks: ports of protocol -1 are none and read as 0; the owner's id goes from a pair of its own. */
const blocks = (permissions: readonly IpPermission[] = [], owner: string | undefined) =>
  permissions.map(({ IpProtocol, FromPort = 0, ToPort = 0, IpRanges = [], UserIdGroupPairs = [] }) => ({
    protocol: IpProtocol,
    ports: [FromPort, ToPort],
    ranges: IpRanges.map(({ CidrIp, Description = "" }) => [CidrIp, Description]),
    groups: UserIdGroupPairs.map(({ GroupId, UserId }) => (UserId === owner ? GroupId : `${UserId}/${GroupId}`)),
  }))

const allOut = (range: object) => [{ IpProtocol: "-1", FromPort: 0, ToPort: 0, ...range }]
const web = (CidrIp: string) => [{ IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp }] }]
const block = (range: string) => ({ protocol: "tcp", ports: [22, 22], ranges: [[range, ""]], groups: [] })

/** A group without rules, as every group of Terraform begins: EC2's own rule is taken from it. */
export async function newGroup(cloud: TestCloud, GroupName: string, tags: Readonly<Record<string, string>> = {}) {
  const { ec2 } = cloud
  const { Vpcs = [] } = await ec2("DescribeVpcs", { Filters: [{ Name: "isDefault", Values: ["true"] }] })
  const { GroupId = "" } = await ec2("CreateSecurityGroup", {
    GroupName,
    Description: "Managed by Terraform",
    VpcId: Vpcs[0]?.VpcId,
    ...(Object.keys(tags).length === 0 ? {} : { TagSpecifications: [tagged("security-group", tags)] }),
  })
  for (let look = 0; look < 3; look++) assert.ok(await find(cloud, GroupId))
  const everyone = { GroupId, IpPermissions: allOut({ IpRanges: [{ CidrIp: "0.0.0.0/0" }] }) }
  await ec2("RevokeSecurityGroupEgress", everyone)
  const everyone6 = { GroupId, IpPermissions: allOut({ Ipv6Ranges: [{ CidrIpv6: "::/0" }] }) }
  // In the default VPC it is told; elsewhere it would be InvalidPermission.NotFound, which is fine too.
  assert.equal((await ec2("RevokeSecurityGroupEgress", everyone6)).UnknownIpPermissions?.length, 1)
  return GroupId
}

/** The provider looks for interfaces that were left in it, deletes it, and looks until it is gone. */
export async function deleteGroup({ ec2 }: TestCloud, GroupId: string): Promise<void> {
  const left = await ec2("DescribeNetworkInterfaces", { Filters: [{ Name: "group-id", Values: [GroupId] }] })
  assert.deepEqual(left.NetworkInterfaces, [])
  await ec2("DeleteSecurityGroup", { GroupId })
}

export const securityGroup: Replay = {
  resource: "aws_security_group",
  async create(cloud) {
    const GroupId = await newGroup(cloud, "terraform", { step: "first" })
    await cloud.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: web("192.0.2.0/24") })
    const IpPermissions = [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }]
    await cloud.ec2("AuthorizeSecurityGroupEgress", { GroupId, IpPermissions })
    return GroupId
  },
  async read(cloud, id) {
    const group = await find(cloud, id)
    if (group === undefined) return undefined
    return {
      name: group.GroupName,
      description: group.Description,
      owner_id: group.OwnerId,
      vpc_id: group.VpcId,
      ingress: blocks(group.IpPermissions, group.OwnerId),
      egress: blocks(group.IpPermissionsEgress, group.OwnerId),
      tags: tagsOf(group.Tags),
    }
  },
  planned: {
    name: "terraform",
    description: "Managed by Terraform",
    ingress: [block("192.0.2.0/24")],
    egress: [{ protocol: "-1", ports: [0, 0], ranges: [["0.0.0.0/0", ""]], groups: [] }],
    tags: { step: "first" },
  },
  async update({ ec2 }, GroupId) {
    await ec2("CreateTags", { Resources: [GroupId], Tags: [{ Key: "step", Value: "second" }] })
    await ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: web("192.0.2.0/24") })
    await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: web("198.51.100.0/24") })
  },
  changed: { ingress: [block("198.51.100.0/24")], tags: { step: "second" } },
  destroy: deleteGroup,
}

const dns = (Description: string) => [
  { IpProtocol: "udp", FromPort: 53, ToPort: 53, IpRanges: [{ CidrIp: "192.0.2.0/24", Description }] },
]

/** The older resource of a rule: it goes by the permissions of its group. */
export const securityGroupRule: Replay = {
  resource: "aws_security_group_rule",
  async create(cloud) {
    const GroupId = await newGroup(cloud, "terraform-rule")
    await cloud.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: dns("first") })
    return GroupId
  },
  async read(cloud, id) {
    const group = await find(cloud, id)
    const rule = group?.IpPermissions?.find(
      ({ IpProtocol, FromPort, IpRanges }) =>
        IpProtocol === "udp" && FromPort === 53 && IpRanges?.some(({ CidrIp }) => CidrIp === "192.0.2.0/24"),
    )
    if (rule === undefined) return undefined
    const Filters = [{ Name: "group-id", Values: [id] }]
    const { SecurityGroupRules = [] } = await cloud.ec2("DescribeSecurityGroupRules", { Filters })
    const ids = SecurityGroupRules.filter(
      ({ IsEgress, IpProtocol, CidrIpv4 }) => IsEgress === false && IpProtocol === "udp" && CidrIpv4 === "192.0.2.0/24",
    ).map(({ SecurityGroupRuleId }) => SecurityGroupRuleId)
    return { ids, description: rule.IpRanges?.[0]?.Description, to_port: rule.ToPort }
  },
  planned: { description: "first", to_port: 53 },
  async update({ ec2 }, GroupId) {
    await ec2("UpdateSecurityGroupRuleDescriptionsIngress", { GroupId, IpPermissions: dns("second") })
  },
  changed: { description: "second" },
  async destroy(cloud, GroupId) {
    await cloud.ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: dns("second") })
    assert.deepEqual((await find(cloud, GroupId))?.IpPermissions, [])
    await deleteGroup(cloud, GroupId)
  },
}
