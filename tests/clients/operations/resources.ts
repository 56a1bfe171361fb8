import assert from "node:assert/strict"
import type { VpcAttributeName } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"

export const resources = {
  async DescribeVpcs({ ec2, refusal }) {
    const { Vpcs = [] } = await ec2("DescribeVpcs", { Filters: [{ Name: "isDefault", Values: ["true"] }] })
    assert.deepEqual(
      Vpcs.map((vpc) => [vpc.CidrBlock, vpc.IsDefault, vpc.State]),
      [["172.31.0.0/16", true, "available"]],
    )
    const byCidr = [{ Name: "cidr-block", Values: ["172.31.0.0/16"] }]
    assert.deepEqual((await ec2("DescribeVpcs", { Filters: byCidr })).Vpcs, Vpcs)
    assert.deepEqual((await ec2("DescribeVpcs", { VpcIds: [Vpcs[0]?.VpcId ?? ""] })).Vpcs, Vpcs)
    assert.equal(await refusal("DescribeVpcs", { VpcIds: ["vpc-00000000"] }), "400 InvalidVpcID.NotFound")
    assert.equal(await refusal("DescribeVpcs", { VpcIds: ["vpc"] }), "400 InvalidVpcID.Malformed")
    assert.equal(await refusal("DescribeVpcs", { MaxResults: 4 }), "400 InvalidParameterValue")
  },

  async DescribeVpcAttribute({ ec2, refusal }) {
    const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
    const VpcId = vpc?.VpcId ?? ""
    const shown = async (Attribute: VpcAttributeName) => ec2("DescribeVpcAttribute", { VpcId, Attribute })
    assert.deepEqual(await shown("enableDnsSupport"), { VpcId, EnableDnsSupport: { Value: true } })
    assert.deepEqual(await shown("enableDnsHostnames"), { VpcId, EnableDnsHostnames: { Value: true } })
    const metrics = { VpcId, EnableNetworkAddressUsageMetrics: { Value: false } }
    assert.deepEqual(await shown("enableNetworkAddressUsageMetrics"), metrics)
    const Attribute = "enableDnsSupport"
    assert.equal(await refusal("DescribeVpcAttribute", { VpcId, Attribute: undefined }), "400 MissingParameter")
    assert.equal(await refusal("DescribeVpcAttribute", { VpcId: undefined, Attribute }), "400 MissingParameter")
    assert.equal(
      await refusal("DescribeVpcAttribute", { VpcId, Attribute: "toString" as VpcAttributeName }),
      "400 InvalidParameterValue",
    )
    assert.equal(
      await refusal("DescribeVpcAttribute", { VpcId: "vpc-00000000", Attribute }),
      "400 InvalidVpcID.NotFound",
    )
  },

  async DescribeSubnets({ ec2, refusal, launch }) {
    const { Subnets: [before] = [] } = await ec2("DescribeSubnets", {
      Filters: [{ Name: "availability-zone", Values: ["us-east-1f"] }],
    })
    const { SubnetId = "", AvailableIpAddressCount: free = 0 } = before ?? {}
    assert.equal(free, 4091)
    const [instance] = await launch({ SubnetId })
    const count = async () =>
      (await ec2("DescribeSubnets", { SubnetIds: [SubnetId] })).Subnets?.[0]?.AvailableIpAddressCount
    assert.equal(await count(), free - 1)
    const Filters = [{ Name: "available-ip-address-count", Values: [String(free - 1)] }]
    assert.deepEqual(
      (await ec2("DescribeSubnets", { SubnetIds: [SubnetId], Filters })).Subnets?.map((subnet) => subnet.SubnetId),
      [SubnetId],
    )
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    assert.equal(await refusal("DescribeSubnets", { SubnetIds: ["subnet-00000000"] }), "400 InvalidSubnetID.NotFound")
  },

  async DescribeRouteTables({ ec2, refusal }) {
    const { RouteTables = [] } = await ec2("DescribeRouteTables", {
      Filters: [{ Name: "association.main", Values: ["true"] }],
    })
    const routes = RouteTables[0]?.Routes?.map((route) => [
      route.DestinationCidrBlock,
      route.GatewayId?.replace(/-[0-9a-f]{17}$/, ""),
    ])
    assert.deepEqual(routes?.toSorted(), [
      ["0.0.0.0/0", "igw"],
      ["172.31.0.0/16", "local"],
    ])
    const missing = { RouteTableIds: ["rtb-00000000"] }
    assert.equal(await refusal("DescribeRouteTables", missing), "400 InvalidRouteTableID.NotFound")
  },

  async DescribeInternetGateways({ ec2, refusal }) {
    const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
    const { InternetGateways = [] } = await ec2("DescribeInternetGateways", {
      Filters: [{ Name: "attachment.vpc-id", Values: [vpc?.VpcId ?? ""] }],
    })
    assert.deepEqual(InternetGateways[0]?.Attachments, [{ State: "available", VpcId: vpc?.VpcId }])
    assert.deepEqual(InternetGateways[0]?.Tags, [])
    const missing = { InternetGatewayIds: ["igw-00000000"] }
    assert.equal(await refusal("DescribeInternetGateways", missing), "400 InvalidInternetGatewayID.NotFound")
  },

  async DescribeNetworkInterfaces({ ec2, refusal, launch }) {
    const [instance] = await launch()
    const { Reservations: [reservation] = [] } = await ec2("DescribeInstances", { InstanceIds: [instance] })
    const shown = reservation?.Instances?.[0]
    const { NetworkInterfaces: [own] = [] } = await ec2("DescribeNetworkInterfaces", {
      Filters: [{ Name: "attachment.instance-id", Values: [instance] }],
    })
    assert.equal(own?.PrivateIpAddress, shown?.PrivateIpAddress)
    assert.equal(own?.Association?.PublicIp, shown?.PublicIpAddress)
    assert.equal(own?.Status, "in-use")
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    const missing = { NetworkInterfaceIds: ["eni-00000000"] }
    assert.equal(await refusal("DescribeNetworkInterfaces", missing), "400 InvalidNetworkInterfaceID.NotFound")
  },

  async DescribeVolumes({ ec2, refusal, launch, daemon }) {
    const [instance] = await launch({
      BlockDeviceMappings: [
        { DeviceName: "/dev/sdf", Ebs: { VolumeSize: 7, VolumeType: "gp3", DeleteOnTermination: false } },
      ],
    })
    const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
    const { Volumes = [] } = await ec2("DescribeVolumes", { Filters })
    assert.deepEqual(
      Volumes.map((volume) => `${volume.Attachments?.[0]?.Device} ${volume.Size} ${volume.State}`).toSorted(),
      ["/dev/sdf 7 in-use", "/dev/xvda 1 in-use"],
    )
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    await daemon.settled()
    const VolumeIds = Volumes.filter((volume) => volume.Size === 7).map((volume) => volume.VolumeId ?? "")
    const { Volumes: left = [] } = await ec2("DescribeVolumes", { VolumeIds })
    assert.deepEqual(
      left.map((volume) => [volume.State, volume.Attachments]),
      [["available", []]],
    )
    const root = Volumes.find((volume) => volume.Size === 1)?.VolumeId ?? ""
    assert.equal(await refusal("DescribeVolumes", { VolumeIds: [root] }), "400 InvalidVolume.NotFound")
  },

  async DescribeVolumeStatus({ ec2, refusal, launch }) {
    const [instance] = await launch()
    const Filters = [{ Name: "attachment-status.instance-id", Values: [instance] }]
    const { VolumeStatuses: [status, ...others] = [] } = await ec2("DescribeVolumeStatus", { Filters })
    assert.deepEqual(others, [])
    assert.match(status?.VolumeId ?? "", /^vol-[0-9a-f]{17}$/)
    assert.deepEqual(status?.VolumeStatus, {
      Status: "ok",
      Details: [
        { Name: "io-enabled", Status: "passed" },
        { Name: "io-performance", Status: "not-applicable" },
      ],
    })
    assert.deepEqual([status?.Actions ?? [], status?.Events ?? []], [[], []])
    const impaired = [...Filters, { Name: "volume-status.status", Values: ["impaired"] }]
    assert.deepEqual((await ec2("DescribeVolumeStatus", { Filters: impaired })).VolumeStatuses, [])
    const missing = { VolumeIds: ["vol-00000000"] }
    assert.equal(await refusal("DescribeVolumeStatus", missing), "400 InvalidVolume.NotFound")
    assert.equal(await refusal("DescribeVolumeStatus", { MaxResults: 4 }), "400 InvalidParameterValue")
  },

  async DescribeVolumeAttribute({ ec2, refusal, launch }) {
    const [instance] = await launch()
    const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
    const { Volumes: [volume] = [] } = await ec2("DescribeVolumes", { Filters })
    const VolumeId = volume?.VolumeId ?? ""
    const operation = "DescribeVolumeAttribute"
    const io = await ec2(operation, { VolumeId, Attribute: "autoEnableIO" })
    assert.deepEqual(io, { VolumeId, AutoEnableIO: { Value: false } })
    const codes = await ec2(operation, { VolumeId, Attribute: "productCodes" })
    assert.deepEqual(codes, { VolumeId, ProductCodes: [] })
    const refused = (input: object) => refusal(operation, { VolumeId, Attribute: "autoEnableIO", ...input })
    assert.equal(await refused({ Attribute: undefined }), "400 MissingParameter")
    assert.equal(await refused({ Attribute: "toString" }), "400 InvalidParameterValue")
    assert.equal(await refused({ VolumeId: "vol-00000000" }), "400 InvalidVolume.NotFound")
    assert.equal(await refused({ VolumeId: undefined }), "400 MissingParameter")
  },

  async ModifyVolumeAttribute({ ec2, refusal, launch }) {
    const [instance] = await launch()
    const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
    const { Volumes: [volume] = [] } = await ec2("DescribeVolumes", { Filters })
    const VolumeId = volume?.VolumeId ?? ""
    const operation = "ModifyVolumeAttribute"
    const value = async () =>
      (await ec2("DescribeVolumeAttribute", { VolumeId, Attribute: "autoEnableIO" })).AutoEnableIO?.Value
    const on = { VolumeId, AutoEnableIO: { Value: true } }
    assert.equal(await refusal(operation, { ...on, DryRun: true }), "412 DryRunOperation")
    assert.equal(await value(), false)
    await ec2(operation, on)
    assert.equal(await value(), true)
    await ec2(operation, { VolumeId, AutoEnableIO: { Value: false } })
    assert.equal(await value(), false)
    assert.equal(await refusal(operation, { VolumeId }), "400 MissingParameter")
    assert.equal(await refusal(operation, { ...on, VolumeId: "vol-00000000" }), "400 InvalidVolume.NotFound")
  },

  async DescribeAddresses({ ec2, refusal }) {
    assert.deepEqual((await ec2("DescribeAddresses", {})).Addresses, [])
    assert.equal(await refusal("DescribeAddresses", { PublicIps: ["192.0.2.1"] }), "400 InvalidAddress.NotFound")
    const missing = { AllocationIds: ["eipalloc-00000000"] }
    assert.equal(await refusal("DescribeAddresses", missing), "400 InvalidAllocationID.NotFound")
  },
} satisfies Checks
