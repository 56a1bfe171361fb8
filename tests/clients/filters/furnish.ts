/** A cloud in which every kind of resource that Fractus has shows every member that it can have. */
import type { TestCloud } from "../operations/cloud.ts"

const tags = [{ Key: "purpose", Value: "filters" }]

/** Every kind of resource: one instance running and one stopped, the rest as it is made; all tagged. */
export async function furnish({ ec2, daemon, image }: TestCloud): Promise<void> {
  await ec2("CreateKeyPair", { KeyName: "filters", TagSpecifications: [{ ResourceType: "key-pair", Tags: tags }] })
  const { GroupId = "" } = await ec2("CreateSecurityGroup", {
    GroupName: "filters",
    Description: "every kind of rule",
    TagSpecifications: [{ ResourceType: "security-group", Tags: tags }],
  })
  await ec2("CreateDhcpOptions", {
    DhcpConfigurations: [{ Key: "ntp-servers", Values: ["192.0.2.1"] }],
    TagSpecifications: [{ ResourceType: "dhcp-options", Tags: tags }],
  })
  const { PrefixList } = await ec2("CreateManagedPrefixList", {
    PrefixListName: "filters",
    AddressFamily: "IPv4",
    MaxEntries: 1,
    TagSpecifications: [{ ResourceType: "prefix-list", Tags: tags }],
  })
  const IpPermissions = [
    {
      IpProtocol: "tcp",
      FromPort: 22,
      ToPort: 23,
      IpRanges: [{ CidrIp: "192.0.2.0/24" }],
      Ipv6Ranges: [{ CidrIpv6: "2001:db8::/32" }],
      UserIdGroupPairs: [{ GroupId }],
      PrefixListIds: [{ PrefixListId: PrefixList?.PrefixListId ?? "" }],
    },
  ]
  const TagSpecifications = [{ ResourceType: "security-group-rule" as const, Tags: tags }]
  await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions, TagSpecifications })
  await ec2("AuthorizeSecurityGroupEgress", { GroupId, IpPermissions, TagSpecifications })
  await ec2("CreatePlacementGroup", { GroupName: "filters", Strategy: "partition" })
  await ec2("CreatePlacementGroup", {
    GroupName: "filters-spread",
    Strategy: "spread",
    TagSpecifications: [{ ResourceType: "placement-group", Tags: tags }],
  })
  const { Instances = [] } = await ec2("RunInstances", {
    ImageId: image,
    InstanceType: "t3.micro",
    MinCount: 2,
    MaxCount: 2,
    KeyName: "filters",
    ClientToken: "filters",
    NetworkInterfaces: [{ DeviceIndex: 0, Description: "eth0", Groups: [GroupId] }],
    BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3, VolumeType: "gp3" } }],
    Placement: { GroupName: "filters" },
    TagSpecifications: (["instance", "volume", "network-interface"] as const).map((ResourceType) => ({
      ResourceType,
      Tags: tags,
    })),
  })
  const [first = "", second = ""] = Instances.map(({ InstanceId = "" }) => InstanceId)
  const { AllocationId } = await ec2("AllocateAddress", {
    TagSpecifications: [{ ResourceType: "elastic-ip", Tags: tags }],
  })
  await daemon.settled()
  await ec2("AssociateAddress", { AllocationId, InstanceId: first })
  await ec2("CreateLaunchTemplate", {
    LaunchTemplateName: "filters",
    TagSpecifications: [{ ResourceType: "launch-template", Tags: tags }],
    LaunchTemplateData: {
      EbsOptimized: true,
      IamInstanceProfile: { Arn: "arn:aws:iam::123456789012:instance-profile/filters" },
      ImageId: image,
      InstanceType: "t3.micro",
      KernelId: "aki-12345678",
      LicenseSpecifications: [{ LicenseConfigurationArn: "arn:aws:license-manager:::license-configuration/filters" }],
      MetadataOptions: { HttpEndpoint: "enabled", HttpTokens: "required" },
      NetworkInterfaces: [{ DeviceIndex: 0, NetworkCardIndex: 0 }],
      Placement: { HostResourceGroupArn: "arn:aws:resource-groups:::group/filters" },
      RamDiskId: "ari-12345678",
    },
  })
  await ec2("EnableFastLaunch", { ImageId: image })
  await ec2("CreateInstanceEventWindow", { Name: "filters", CronExpression: "* 0-4 * * SUN" }).then(
    async ({ InstanceEventWindow: window }) => {
      const InstanceEventWindowId = window?.InstanceEventWindowId ?? ""
      await ec2("AssociateInstanceEventWindow", { InstanceEventWindowId, AssociationTarget: { InstanceIds: [first] } })
      await ec2("CreateTags", { Resources: [InstanceEventWindowId], Tags: tags })
    },
  )
  const { InstanceEventWindow: byTag } = await ec2("CreateInstanceEventWindow", { CronExpression: "* 0-4 * * MON" })
  await ec2("AssociateInstanceEventWindow", {
    InstanceEventWindowId: byTag?.InstanceEventWindowId ?? "",
    AssociationTarget: { InstanceTags: tags },
  })
  await daemon.settled()
  await ec2("StopInstances", { InstanceIds: [second] })
  await daemon.settled()
  await ec2("CreateReplaceRootVolumeTask", {
    InstanceId: first,
    TagSpecifications: [{ ResourceType: "replace-root-volume-task", Tags: tags }],
  })
  await daemon.settled()
  await makeImages(ec2, second)
  await daemon.settled()
  await reserve(ec2, first, second)
  await useHost(ec2, image)
  const { Vpcs = [] } = await ec2("DescribeVpcs", {})
  const { Subnets = [] } = await ec2("DescribeSubnets", {})
  const { RouteTables = [] } = await ec2("DescribeRouteTables", {})
  const { InternetGateways = [] } = await ec2("DescribeInternetGateways", {})
  const { NetworkAcls = [] } = await ec2("DescribeNetworkAcls", {})
  const Resources = [
    ...NetworkAcls.map(({ NetworkAclId }) => NetworkAclId ?? ""),
    ...Vpcs.map(({ VpcId }) => VpcId ?? ""),
    ...Subnets.map(({ SubnetId }) => SubnetId ?? ""),
    ...RouteTables.map(({ RouteTableId }) => RouteTableId ?? ""),
    ...InternetGateways.map(({ InternetGatewayId }) => InternetGatewayId ?? ""),
  ]
  await ec2("CreateTags", { Resources, Tags: tags })
}

/** One of an instance, and a copy of what ships. */
async function makeImages(ec2: TestCloud["ec2"], InstanceId: string): Promise<void> {
  const tagged = (["image", "snapshot"] as const).map((ResourceType) => ({ ResourceType, Tags: tags }))
  const { ImageId } = await ec2("CreateImage", { InstanceId, Name: "filters", TagSpecifications: tagged })
  const { Images: [image] = [] } = await ec2("DescribeImages", { Owners: ["amazon"] })
  await ec2("CopyImage", { Name: "copied", SourceImageId: image?.ImageId, SourceRegion: "us-east-1" })
  await ec2("ModifyImageAttribute", { ImageId, Description: { Value: "of an instance" } })
  await ec2("EnableAllowedImagesSettings", { AllowedImagesSettingsState: "audit-mode" })
}

/** A reservation that one instance runs in, and that the other asks for. */
async function reserve(ec2: TestCloud["ec2"], running: string, stopped: string): Promise<void> {
  const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [running] })
  const { CapacityReservation } = await ec2("CreateCapacityReservation", {
    InstanceType: "t3.micro",
    InstancePlatform: "Linux/UNIX",
    InstanceCount: 2,
    AvailabilityZone: Reservations[0]?.Instances?.[0]?.Placement?.AvailabilityZone ?? "",
    EndDate: new Date(Date.UTC(2099, 0, 1)),
    TagSpecifications: [{ ResourceType: "capacity-reservation", Tags: tags }],
  })
  const CapacityReservationTarget = { CapacityReservationId: CapacityReservation?.CapacityReservationId ?? "" }
  const CapacityReservationSpecification = { CapacityReservationTarget }
  await ec2("ModifyInstanceCapacityReservationAttributes", { InstanceId: stopped, CapacityReservationSpecification })
}

/** An instance on a Dedicated Host of one type. */
async function useHost(ec2: TestCloud["ec2"], ImageId: string): Promise<void> {
  const { Subnets: [subnet] = [] } = await ec2("DescribeSubnets", {})
  const { HostIds: [HostId] = [] } = await ec2("AllocateHosts", {
    InstanceType: "m5.large",
    Quantity: 1,
    AvailabilityZone: subnet?.AvailabilityZone ?? "",
    ClientToken: "filters",
    TagSpecifications: [{ ResourceType: "dedicated-host", Tags: tags }],
  })
  await ec2("RunInstances", {
    ImageId,
    InstanceType: "m5.large",
    MinCount: 1,
    MaxCount: 1,
    SubnetId: subnet?.SubnetId ?? "",
    Placement: { Tenancy: "host", HostId: HostId ?? "" },
  })
}
