import assert from "node:assert/strict"
import type { Instance, RunInstancesRequest } from "@aws-sdk/client-ec2"
import type { TestCloud } from "../operations/cloud.ts"
import { only, type Replay, type State, tagged, tagsOf, until } from "./replay.ts"

async function find({ ec2 }: TestCloud, id: string): Promise<Instance | undefined> {
  const asked = async () => {
    const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
    return Reservations.flatMap(({ Instances = [] }) => Instances)
  }
  return only(asked(), ({ InstanceId }) => InstanceId === id, ["InvalidInstanceID.NotFound"])
}

const stateOf = (cloud: TestCloud, id: string) => async () => (await find(cloud, id))?.State?.Name ?? "not found"

/** What the provider sends with every launch, whatever is configured. A zone that is not is an empty text. */
const always = {
  MinCount: 1,
  MaxCount: 1,
  DisableApiTermination: false,
  EbsOptimized: false,
  HibernationOptions: { Configured: false },
  Placement: { AvailabilityZone: "" },
} as const

async function run(cloud: TestCloud, input: Partial<RunInstancesRequest>): Promise<string> {
  const { Instances = [] } = await cloud.ec2("RunInstances", { ...always, ...input })
  const id = Instances[0]?.InstanceId ?? assert.fail("no instance")
  await until("running", ["pending"], stateOf(cloud, id))
  return id
}

/** All calls of a refresh, in their order; one that fails ends it. A terminated instance is gone. */
async function read(cloud: TestCloud, id: string): Promise<State | undefined> {
  const { ec2 } = cloud
  const instance = await find(cloud, id)
  if (instance === undefined || instance.State?.Name === "terminated") return undefined
  const { InstanceTypes = [] } = await ec2("DescribeInstanceTypes", { InstanceTypes: [instance.InstanceType as never] })
  assert.equal(InstanceTypes.length, 1)
  const template = await templateOf(cloud, id)
  const { Vpcs = [] } = await ec2("DescribeVpcs", { VpcIds: [instance.VpcId ?? ""] })
  const { InstanceInitiatedShutdownBehavior: shutdown } = await ec2("DescribeInstanceAttribute", {
    InstanceId: id,
    Attribute: "instanceInitiatedShutdownBehavior",
  })
  const volumes = await volumesOf(cloud, instance)
  const attribute = (Attribute: "disableApiStop" | "disableApiTermination" | "userData") =>
    ec2("DescribeInstanceAttribute", { InstanceId: id, Attribute })
  const { DisableApiStop: stop } = await attribute("disableApiStop")
  const { DisableApiTermination: termination } = await attribute("disableApiTermination")
  // Both are read without a look whether they are there.
  assert.equal(typeof stop?.Value, "boolean")
  assert.equal(typeof termination?.Value, "boolean")
  const { UserData } = await attribute("userData")
  const credits = await ec2("DescribeInstanceCreditSpecifications", { InstanceIds: [id] })
  assert.equal(credits.InstanceCreditSpecifications?.length, 1)
  return {
    ...attributesOf(instance),
    security_groups: Vpcs[0]?.IsDefault === true ? instance.SecurityGroups?.map(({ GroupName }) => GroupName) : [],
    instance_initiated_shutdown_behavior: shutdown?.Value,
    volumes,
    template,
    disable_api_stop: stop?.Value,
    disable_api_termination: termination?.Value,
    user_data: UserData?.Value,
    cpu_credits: credits.InstanceCreditSpecifications?.[0]?.CpuCredits,
  }
}

function attributesOf(instance: Instance): State {
  const [eni] = instance.NetworkInterfaces ?? []
  assert.equal(eni?.Attachment?.DeviceIndex, 0)
  return {
    ami: instance.ImageId,
    instance_type: instance.InstanceType,
    instance_state: instance.State?.Name,
    availability_zone: instance.Placement?.AvailabilityZone,
    tenancy: instance.Placement?.Tenancy,
    key_name: instance.KeyName,
    subnet_id: eni?.SubnetId,
    associate_public_ip_address: eni?.Association !== undefined,
    source_dest_check: eni?.SourceDestCheck,
    public_ip: instance.PublicIpAddress,
    private_ip: instance.PrivateIpAddress,
    private_dns: instance.PrivateDnsName,
    private_dns_name_options: instance.PrivateDnsNameOptions,
    vpc_security_group_ids: instance.SecurityGroups?.map(({ GroupId }) => GroupId),
    cpu_options: instance.CpuOptions,
    ebs_optimized: instance.EbsOptimized,
    hibernation: instance.HibernationOptions?.Configured,
    enclave: instance.EnclaveOptions?.Enabled,
    maintenance: instance.MaintenanceOptions?.AutoRecovery,
    metadata_options: instance.MetadataOptions,
    monitoring: ["enabled", "pending"].includes(instance.Monitoring?.State ?? ""),
    capacity_reservation_specification: instance.CapacityReservationSpecification,
    tags: tagsOf(instance.Tags),
  }
}

/** System tags lead from an instance to its template. */
async function templateOf({ ec2 }: TestCloud, id: string): Promise<State | undefined> {
  const tag = async (key: string) => {
    const Filters = [
      { Name: "key", Values: [key] },
      { Name: "resource-id", Values: [id] },
    ]
    return (await ec2("DescribeTags", { Filters })).Tags?.[0]?.Value
  }
  const template = await tag("aws:ec2launchtemplate:id")
  if (template === undefined) return undefined
  const { LaunchTemplates = [] } = await ec2("DescribeLaunchTemplates", { LaunchTemplateIds: [template] })
  const version = (await tag("aws:ec2launchtemplate:version")) ?? assert.fail("no version")
  const asked = { LaunchTemplateId: template, Versions: [version] }
  const { LaunchTemplateVersions = [] } = await ec2("DescribeLaunchTemplateVersions", asked)
  assert.equal(LaunchTemplateVersions.length, 1)
  return { name: LaunchTemplates[0]?.LaunchTemplateName, version }
}

/** The mappings' volumes, each as its block shows it; the root is the one with the root's name. */
async function volumesOf({ ec2 }: TestCloud, instance: Instance): Promise<State> {
  const mappings = instance.BlockDeviceMappings ?? []
  const VolumeIds = mappings.map(({ Ebs }) => Ebs?.VolumeId ?? "")
  const { Volumes = [] } = await ec2("DescribeVolumes", { VolumeIds })
  assert.equal(Volumes.length, mappings.length)
  const entries = mappings.map(({ DeviceName = "", Ebs }) => {
    const volume = Volumes.find(({ VolumeId }) => VolumeId === Ebs?.VolumeId)
    const { Size, VolumeType, Iops, Encrypted, Throughput, SnapshotId } = volume ?? {}
    const own = { Size, VolumeType, Iops, Encrypted, Throughput, SnapshotId, tags: tagsOf(volume?.Tags) }
    const name = DeviceName === instance.RootDeviceName ? "root" : DeviceName
    return [name, { ...own, delete: Ebs?.DeleteOnTermination }] as const
  })
  return Object.fromEntries(entries)
}

const script = (word: string) => Buffer.from(`#!/bin/sh\necho ${word}\n`).toString("base64")

/** One attribute that only a stopped instance takes. */
async function changeStopped(cloud: TestCloud, InstanceId: string, change: object): Promise<void> {
  await cloud.ec2("StopInstances", { InstanceIds: [InstanceId], Force: false })
  await until("stopped", ["pending", "running", "shutting-down", "stopping"], stateOf(cloud, InstanceId))
  await cloud.ec2("ModifyInstanceAttribute", { InstanceId, ...change })
  await cloud.ec2("StartInstances", { InstanceIds: [InstanceId] })
  await until("running", ["pending", "stopped"], stateOf(cloud, InstanceId))
}

async function destroy(cloud: TestCloud, InstanceId: string): Promise<void> {
  await cloud.ec2("ModifyInstanceAttribute", { InstanceId, DisableApiTermination: { Value: false } })
  await cloud.ec2("TerminateInstances", { InstanceIds: [InstanceId] })
  const pending = ["pending", "running", "shutting-down", "stopped", "stopping"]
  await until("terminated", pending, stateOf(cloud, InstanceId))
}

const volume = { Iops: 100, VolumeType: "gp2", Encrypted: false, Throughput: undefined, SnapshotId: "", delete: true }

export const instance: Replay = {
  resource: "aws_instance",
  async create(cloud) {
    const { ec2, image } = cloud
    const { Images: [found] = [] } = await ec2("DescribeImages", { ImageIds: [image] })
    const root = found?.RootDeviceName ?? assert.fail("no root")
    assert.ok(found?.BlockDeviceMappings?.some(({ DeviceName }) => DeviceName === root))
    const { Subnets: [subnet] = [] } = await ec2("DescribeSubnets", {})
    return run(cloud, {
      ClientToken: "terraform-20260102030405000600000003",
      ImageId: image,
      InstanceType: "t3.micro",
      CreditSpecification: { CpuCredits: "unlimited" },
      Monitoring: { Enabled: true },
      UserData: script("first"),
      BlockDeviceMappings: [
        { DeviceName: "/dev/sdf", Ebs: { DeleteOnTermination: true, VolumeSize: 1 } },
        { DeviceName: root, Ebs: { DeleteOnTermination: true, VolumeSize: 2, VolumeType: "gp3" } },
      ],
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet?.SubnetId, AssociatePublicIpAddress: true }],
      TagSpecifications: [tagged("instance", { Name: "plain", step: "first" }), tagged("volume", { managed: "yes" })],
    })
  },
  async read(cloud, id) {
    const state = await read(cloud, id)
    if (state === undefined) return undefined
    // Its address goes with the machine that is stopped; the provider takes what it finds.
    const { public_ip: _, volumes, ...rest } = state
    const { root, ...others } = volumes as Readonly<Record<string, State>>
    return { ...rest, root: { ...root, SnapshotId: typeof root?.["SnapshotId"] }, others }
  },
  planned: {
    instance_type: "t3.micro",
    instance_state: "running",
    associate_public_ip_address: true,
    source_dest_check: true,
    ebs_optimized: false,
    hibernation: false,
    enclave: false,
    monitoring: true,
    metadata_options: {
      State: "applied",
      HttpEndpoint: "enabled",
      HttpProtocolIpv6: "disabled",
      HttpPutResponseHopLimit: 1,
      HttpTokens: "optional",
      InstanceMetadataTags: "disabled",
    },
    user_data: script("first"),
    cpu_credits: "unlimited",
    template: undefined,
    root: {
      Size: 2,
      VolumeType: "gp3",
      Iops: 3000,
      Throughput: 125,
      Encrypted: false,
      SnapshotId: "string",
      delete: true,
      tags: { managed: "yes" },
    },
    others: { "/dev/sdf": { ...volume, Size: 1, tags: { managed: "yes" } } },
    tags: { Name: "plain", step: "first" },
  },
  async update(cloud, id) {
    const { ec2 } = cloud
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
    // A plan looks whether the new type runs the same images.
    const { InstanceTypes = [] } = await ec2("DescribeInstanceTypes", { InstanceTypes: ["t3.small"] })
    assert.ok(InstanceTypes[0]?.ProcessorInfo?.SupportedArchitectures?.includes("x86_64"))
    await changeStopped(cloud, id, { InstanceType: { Value: "t3.small" } })
    await changeStopped(cloud, id, { UserData: { Value: Buffer.from(script("second"), "base64") } })
    await ec2("UnmonitorInstances", { InstanceIds: [id] })
  },
  changed: {
    instance_type: "t3.small",
    user_data: script("second"),
    monitoring: false,
    tags: { Name: "plain", step: "second" },
  },
  destroy,
}

export const instanceOfTemplate: Replay = {
  resource: "aws_instance",
  async create(cloud) {
    const { ec2, image } = cloud
    const { LaunchTemplate } = await ec2("CreateLaunchTemplate", {
      LaunchTemplateName: "terraform-instance",
      LaunchTemplateData: {
        ImageId: image,
        InstanceType: "t3.micro",
        UserData: script("template"),
        MetadataOptions: { HttpTokens: "required" },
      },
    })
    const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? assert.fail("no template")
    const Versions = ["1"]
    const { LaunchTemplateVersions } = await ec2("DescribeLaunchTemplateVersions", { LaunchTemplateId, Versions })
    assert.equal(LaunchTemplateVersions?.[0]?.LaunchTemplateData?.InstanceType, "t3.micro")
    return run(cloud, {
      LaunchTemplate: { LaunchTemplateId, Version: "1" },
      Monitoring: { Enabled: false },
      TagSpecifications: [tagged("instance", { Name: "templated" })],
    })
  },
  read,
  planned: {
    instance_type: "t3.micro",
    user_data: script("template"),
    template: { name: "terraform-instance", version: "1" },
    monitoring: false,
    tags: { Name: "templated" },
  },
  async update({ ec2 }, id) {
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
    await ec2("DeleteTags", { Resources: [id], Tags: [{ Key: "Name", Value: "templated" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy(cloud, id) {
    await destroy(cloud, id)
    await cloud.ec2("DeleteLaunchTemplate", { LaunchTemplateName: "terraform-instance" })
  },
}
