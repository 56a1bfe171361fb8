/** Network ACLs, reservations of parts of subnets, and looks at security groups from a VPC's side. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const noVpc = { VpcId: "vpc-00000000" }

async function vpcOf({ ec2 }: TestCloud): Promise<string> {
  const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
  return vpc?.VpcId ?? ""
}

async function subnetOf({ ec2 }: TestCloud, zone: string): Promise<{ SubnetId: string; net: string }> {
  const Filters = [{ Name: "availability-zone", Values: [zone] }]
  const { Subnets: [subnet] = [] } = await ec2("DescribeSubnets", { Filters })
  // "172.31.16.0/20"
  return { SubnetId: subnet?.SubnetId ?? "", net: (subnet?.CidrBlock ?? "").split(".").slice(0, 3).join(".") }
}

export const vpcParts = {
  async DescribeNetworkAcls(cloud) {
    const { ec2, refusal } = cloud
    const VpcId = await vpcOf(cloud)
    const Filters = [
      { Name: "default", Values: ["true"] },
      { Name: "vpc-id", Values: [VpcId] },
    ]
    const { NetworkAcls = [] } = await ec2("DescribeNetworkAcls", { Filters })
    const [acl] = NetworkAcls
    assert.deepEqual([NetworkAcls.length, acl?.IsDefault, acl?.VpcId], [1, true, VpcId])
    assert.deepEqual(
      acl?.Entries?.map(
        (entry) => `${entry.Egress} ${entry.RuleNumber} ${entry.RuleAction} ${entry.Protocol} ${entry.CidrBlock}`,
      ),
      [true, false].flatMap((egress) => [`${egress} 100 allow -1 0.0.0.0/0`, `${egress} 32767 deny -1 0.0.0.0/0`]),
    )
    const { Subnets = [] } = await ec2("DescribeSubnets", {})
    const own = acl?.Associations?.map((each) => each.SubnetId)
    assert.deepEqual(new Set(own), new Set(Subnets.map((subnet) => subnet.SubnetId)))
    const bySubnet = [{ Name: "association.subnet-id", Values: [Subnets[0]?.SubnetId ?? ""] }]
    assert.deepEqual((await ec2("DescribeNetworkAcls", { Filters: bySubnet })).NetworkAcls, NetworkAcls)
    const missing = { NetworkAclIds: ["acl-00000000"] }
    assert.equal(await refusal("DescribeNetworkAcls", missing), "400 InvalidNetworkAclID.NotFound")
  },

  async CreateSubnetCidrReservation(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "CreateSubnetCidrReservation"
    const { SubnetId, net } = await subnetOf(cloud, "us-east-1d")
    // All of the /20 but its last 256 addresses.
    const [a, b, c] = net.split(".").map(Number)
    const at = (offset: number) => `${a}.${b}.${(c ?? 0) + offset}`
    const cidrs = [`${at(0)}.0/21`, `${at(8)}.0/22`, `${at(12)}.0/23`, `${at(14)}.0/24`]
    const made: string[] = []
    for (const Cidr of cidrs) {
      const { SubnetCidrReservation } = await ec2(operation, { SubnetId, Cidr, ReservationType: "explicit" })
      assert.match(SubnetCidrReservation?.SubnetCidrReservationId ?? "", /^scr-[0-9a-f]{17}$/)
      made.push(SubnetCidrReservation?.SubnetCidrReservationId ?? "")
    }
    const addressOf = async (instances: readonly string[]) => {
      const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [...instances] })
      return Reservations.flatMap(({ Instances = [] }) => Instances.map((each) => each.PrivateIpAddress ?? ""))
    }
    const drawn = await launch({ SubnetId, MinCount: 8, MaxCount: 8 })
    for (const address of await addressOf(drawn)) assert.ok(address.startsWith(`${at(15)}.`), address)
    const named = await launch({ SubnetId, PrivateIpAddress: `${at(14)}.7` })
    assert.deepEqual(await addressOf(named), [`${at(14)}.7`])
    const refused = (input: object) =>
      refusal(operation, { SubnetId, Cidr: `${at(15)}.0/28`, ReservationType: "explicit", ...input })
    // The last addresses that are open: nothing is left for a launch then.
    const { SubnetCidrReservation: last } = await ec2(operation, {
      SubnetId,
      Cidr: `${at(15)}.0/24`,
      ReservationType: "prefix",
      Description: "the rest",
    })
    assert.equal(last?.Description, "the rest")
    made.push(last?.SubnetCidrReservationId ?? "")
    const one = { ImageId: cloud.image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1, SubnetId } as const
    assert.equal(await refusal("RunInstances", one), "400 InsufficientFreeAddressesInSubnet")
    assert.equal(await refused({}), "400 InvalidParameterValue", "it overlaps")
    for (const SubnetCidrReservationId of made) await ec2("DeleteSubnetCidrReservation", { SubnetCidrReservationId })
    await ec2("TerminateInstances", { InstanceIds: [...drawn, ...named] })
    for (const Cidr of ["172.30.0.0/24", `${at(1)}.1/28`, "x/24", `${at(0)}.0/33`, `${at(0)}.0`, "172.31.0.0/16"])
      assert.equal(await refused({ Cidr }), "400 InvalidParameterValue", Cidr)
    assert.equal(await refused({ Cidr: `${at(1)}.0/29`, ReservationType: "prefix" }), "400 InvalidParameterValue")
    assert.equal(await refused({ ReservationType: "implicit" }), "400 InvalidParameterValue")
    assert.equal(await refused({ SubnetId: "subnet-00000000" }), "400 InvalidSubnetID.NotFound")
  },

  async GetSubnetCidrReservations(cloud) {
    const { ec2, refusal } = cloud
    const operation = "GetSubnetCidrReservations"
    const { SubnetId, net } = await subnetOf(cloud, "us-east-1c")
    const tagged = [{ ResourceType: "subnet-cidr-reservation" as const, Tags: [{ Key: "of", Value: "reservations" }] }]
    const make = async (Cidr: string, ReservationType: "prefix" | "explicit") => {
      const input = { SubnetId, Cidr, ReservationType, TagSpecifications: tagged }
      return (await ec2("CreateSubnetCidrReservation", input)).SubnetCidrReservation
    }
    const made = [await make(`${net}.0/28`, "explicit"), await make(`${net}.16/28`, "prefix")]
    const get = async (more: object = {}) => (await ec2(operation, { SubnetId, ...more })).SubnetIpv4CidrReservations
    assert.deepEqual(await get(), made)
    assert.deepEqual(await get({ Filters: [{ Name: "reservationType", Values: ["prefix"] }] }), made.slice(1))
    assert.deepEqual(await get({ Filters: [{ Name: "tag:of", Values: ["res*"] }] }), made)
    assert.deepEqual((await subnetOf(cloud, "us-east-1b")).SubnetId === SubnetId, false)
    for (const each of made)
      await ec2("DeleteSubnetCidrReservation", { SubnetCidrReservationId: each?.SubnetCidrReservationId })
    assert.deepEqual(await get(), [])
    assert.equal(await refusal(operation, { SubnetId: "subnet-00000000" }), "400 InvalidSubnetID.NotFound")
    const filtered = { SubnetId, Filters: [{ Name: "cidr", Values: ["x"] }] }
    assert.equal(await refusal(operation, filtered), "400 InvalidParameterValue")
  },

  async DeleteSubnetCidrReservation(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DeleteSubnetCidrReservation"
    const { SubnetId, net } = await subnetOf(cloud, "us-east-1b")
    const input = { SubnetId, Cidr: `${net}.0/28`, ReservationType: "explicit" as const }
    const { SubnetCidrReservation: made } = await ec2("CreateSubnetCidrReservation", input)
    const id = { SubnetCidrReservationId: made?.SubnetCidrReservationId }
    assert.deepEqual((await ec2(operation, id)).DeletedSubnetCidrReservation, made)
    assert.equal(await refusal(operation, id), "400 InvalidSubnetCidrReservationID.NotFound")
    assert.equal(
      await refusal(operation, { SubnetCidrReservationId: "scr" }),
      "400 InvalidSubnetCidrReservationId.Malformed",
    )
  },

  async GetSecurityGroupsForVpc(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "GetSecurityGroupsForVpc"
    const VpcId = await vpcOf(cloud)
    const GroupName = name()
    const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName, Description: "for a VPC" })
    const Filters = [
      { Name: "group-name", Values: [GroupName] },
      { Name: "primary-vpc-id", Values: [VpcId] },
    ]
    const { SecurityGroupForVpcs = [] } = await ec2(operation, { VpcId, Filters })
    const OwnerId = cloud.daemon.credentials.account
    const shown = { GroupId, GroupName, Description: "for a VPC", OwnerId, PrimaryVpcId: VpcId }
    assert.deepEqual(SecurityGroupForVpcs, [shown])
    await ec2("DeleteSecurityGroup", { GroupId })
    assert.deepEqual((await ec2(operation, { VpcId, Filters })).SecurityGroupForVpcs, [])
    assert.equal(await refusal(operation, noVpc), "400 InvalidVpcID.NotFound")
    assert.equal(await refusal(operation, { VpcId, MaxResults: 4 }), "400 InvalidParameterValue")
  },

  async DescribeStaleSecurityGroups(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeStaleSecurityGroups"
    const VpcId = await vpcOf(cloud)
    assert.deepEqual((await ec2(operation, { VpcId })).StaleSecurityGroupSet, [])
    assert.equal(await refusal(operation, noVpc), "400 InvalidVpcID.NotFound")
    assert.equal(await refusal(operation, { VpcId, MaxResults: 256 }), "400 InvalidParameterValue")
  },

  async DescribeSecurityGroupReferences(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeSecurityGroupReferences"
    const { SecurityGroups: [group] = [] } = await ec2("DescribeSecurityGroups", { GroupNames: ["default"] })
    // Its own VPC's rules are no references from elsewhere.
    assert.equal(group?.IpPermissions?.[0]?.UserIdGroupPairs?.[0]?.GroupId, group?.GroupId)
    assert.deepEqual((await ec2(operation, { GroupId: [group?.GroupId ?? ""] })).SecurityGroupReferenceSet, [])
    assert.equal(await refusal(operation, { GroupId: ["sg-00000000"] }), "400 InvalidGroup.NotFound")
    assert.equal(await refusal(operation, { GroupId: [] }), "400 MissingParameter")
  },
} satisfies Checks
