import assert from "node:assert/strict"
import type { Image } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "ami-00000000000000000"

/** An image of a new instance, once it is there. */
export async function makeImage(cloud: TestCloud, more: object = {}): Promise<Image> {
  const { ec2, daemon, launch, name } = cloud
  const [InstanceId] = await launch()
  const { ImageId = "" } = await ec2("CreateImage", { InstanceId, Name: name(), ...more })
  await daemon.settled()
  await ec2("TerminateInstances", { InstanceIds: [InstanceId] })
  await daemon.settled()
  return shown(cloud, ImageId)
}

export async function shown({ ec2 }: TestCloud, id: string): Promise<Image> {
  const { Images: [image] = [] } = await ec2("DescribeImages", { ImageIds: [id], IncludeDisabled: true })
  return image ?? assert.fail(`no image ${id}`)
}

export const snapshotOf = ({ BlockDeviceMappings: [root] = [] }: Image) => root?.Ebs?.SnapshotId ?? ""

export const images = {
  async CreateImage(cloud) {
    const { ec2, refusal, daemon, launch, name } = cloud
    const [InstanceId] = await launch({
      BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3, VolumeType: "gp3", Iops: 4000 } }],
    })
    const Name = name()
    const asked = { InstanceId, Name, Description: "of a test", NoReboot: true }
    const tagged = (ResourceType: "image" | "snapshot") => ({
      ResourceType,
      Tags: [{ Key: "of", Value: ResourceType }],
    })
    const BlockDeviceMappings = [
      { DeviceName: "/dev/xvda", Ebs: { VolumeSize: 9 } },
      { DeviceName: "/dev/sdg", Ebs: { VolumeSize: 2 } },
    ]
    const TagSpecifications = [tagged("image"), tagged("snapshot")]
    const { ImageId = "" } = await ec2("CreateImage", { ...asked, BlockDeviceMappings, TagSpecifications })
    await daemon.settled()
    const image = await shown(cloud, ImageId)
    assert.deepEqual(
      [image.State, image.Name, image.Description, image.Public, image.SourceInstanceId, image.OwnerId],
      ["available", Name, "of a test", false, InstanceId, daemon.credentials.account],
    )
    assert.deepEqual(image.Tags, [{ Key: "of", Value: "image" }])
    assert.deepEqual(
      image.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [
        DeviceName,
        Ebs?.VolumeSize,
        Ebs?.Iops,
        !Ebs?.SnapshotId,
      ]),
      [
        ["/dev/xvda", 9, 3000, false],
        ["/dev/sdf", 3, 4000, false],
        ["/dev/sdg", 2, undefined, true],
      ],
    )
    const { Snapshots = [] } = await ec2("DescribeSnapshots", { Filters: [{ Name: "tag:of", Values: ["snapshot"] }] })
    assert.deepEqual(
      Snapshots.map(({ State, Progress, SnapshotId }) => [State, Progress, SnapshotId]),
      image.BlockDeviceMappings?.slice(0, 2).map(({ Ebs }) => ["completed", "100%", Ebs?.SnapshotId]),
    )
    await ec2("TerminateInstances", { InstanceIds: [InstanceId] })
    const [clone] = await launch({ ImageId })
    const { Volumes = [] } = await ec2("DescribeVolumes", {
      Filters: [{ Name: "attachment.instance-id", Values: [clone] }],
    })
    assert.deepEqual(
      Volumes.map(({ Size, SnapshotId }) => [Size, SnapshotId]),
      image.BlockDeviceMappings?.map(({ Ebs }) => [Ebs?.VolumeSize, Ebs?.SnapshotId ?? ""]),
    )

    const refused = (input: object) => refusal("CreateImage", { InstanceId: clone, Name: name(), ...input })
    assert.equal(await refused({ Name }), "400 InvalidAMIName.Duplicate")
    assert.equal(await refused({ Name: "a" }), "400 InvalidAMIName.Malformed")
    assert.equal(await refused({ Name: "a:b:c" }), "400 InvalidAMIName.Malformed")
    assert.equal(await refused({ Name: undefined }), "400 MissingParameter")
    assert.equal(await refused({ InstanceId: "i-00000000000000000" }), "400 InvalidInstanceID.NotFound")
    assert.equal(await refused({ InstanceId }), "400 IncorrectInstanceState")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    const mapped = (Ebs: object) => refused({ BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs }] })
    assert.equal(await mapped({ VolumeSize: 8 }), "400 InvalidBlockDeviceMapping")
    assert.equal(await mapped({ Encrypted: true }), "400 InvalidBlockDeviceMapping")
    const none = [{ DeviceName: "/dev/xvda", NoDevice: "" }]
    assert.equal(await refused({ BlockDeviceMappings: none }), "400 InvalidBlockDeviceMapping")
    assert.equal(await refused({ TagSpecifications: [tagged("volume" as never)] }), "400 InvalidParameterValue")
  },

  async CopyImage(cloud) {
    const { ec2, refusal, daemon, launch, name } = cloud
    const source = await makeImage(cloud, { Description: "first" })
    const asked = { SourceImageId: source.ImageId, SourceRegion: "us-east-1", Name: name(), ClientToken: name() }
    const { ImageId = "" } = await ec2("CopyImage", asked)
    assert.equal((await ec2("CopyImage", asked)).ImageId, ImageId, "the same token makes no second one")
    await daemon.settled()
    const copy = await shown(cloud, ImageId)
    assert.deepEqual(
      [copy.State, copy.SourceImageId, copy.SourceImageRegion, copy.Description],
      ["available", source.ImageId, "us-east-1", "first"],
    )
    assert.notEqual(snapshotOf(copy), snapshotOf(source))
    await ec2("DeregisterImage", { ImageId: source.ImageId, DeleteAssociatedSnapshots: true })
    await daemon.settled()
    await launch({ ImageId })
    const publicCopy = await ec2("CopyImage", {
      SourceImageId: cloud.image,
      SourceRegion: "eu-west-1",
      Name: name(),
      Encrypted: true,
    })
    await daemon.settled()
    const own = await shown(cloud, publicCopy.ImageId ?? "")
    assert.deepEqual([own.State, own.OwnerId], ["available", daemon.credentials.account])
    assert.equal(own.BlockDeviceMappings?.[0]?.Ebs?.Encrypted, true)
    const [encrypted] = await launch({ ImageId: own.ImageId ?? "" })
    const Filters = [{ Name: "attachment.instance-id", Values: [encrypted] }]
    assert.equal((await ec2("DescribeVolumes", { Filters })).Volumes?.[0]?.Encrypted, true)

    const refused = (input: object) =>
      refusal("CopyImage", { SourceImageId: cloud.image, SourceRegion: "us-east-1", Name: name(), ...input })
    assert.equal(await refused({ SourceImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ SourceImageId: copy.ImageId, SourceRegion: "eu-west-1" }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ SourceRegion: "nowhere" }), "400 InvalidParameterValue")
    assert.equal(await refused({ Name: copy.Name }), "400 InvalidAMIName.Duplicate")
    assert.equal(await refused({ KmsKeyId: "alias/none", Encrypted: true }), "400 InvalidParameterValue")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ ...asked, Name: name() }), "400 IdempotentParameterMismatch")
  },

  async DeregisterImage(cloud) {
    const { ec2, refusal, daemon, launch } = cloud
    const image = await makeImage(cloud)
    const ImageId = image.ImageId ?? ""
    const [user] = await launch({ ImageId })
    const refused = (input: object) => refusal("DeregisterImage", { ImageId, ...input })
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ ImageId: cloud.image }), "403 AuthFailure")
    const kept = await ec2("DeregisterImage", { ImageId })
    assert.equal(kept.DeleteSnapshotResults, undefined)
    assert.equal(await refused({}), "400 InvalidAMIID.NotFound")
    assert.equal(await refusal("RunInstances", { ImageId, MinCount: 1, MaxCount: 1 }), "400 InvalidAMIID.NotFound")
    await ec2("StopInstances", { InstanceIds: [user] })
    await daemon.settled()
    await ec2("StartInstances", { InstanceIds: [user] })
    await daemon.settled()
    const SnapshotIds = [snapshotOf(image)]
    assert.equal((await ec2("DescribeSnapshots", { SnapshotIds })).Snapshots?.length, 1)

    const other = await makeImage(cloud)
    const gone = await ec2("DeregisterImage", { ImageId: other.ImageId, DeleteAssociatedSnapshots: true })
    assert.deepEqual(gone.DeleteSnapshotResults, [{ SnapshotId: snapshotOf(other), ReturnCode: "success" }])
    assert.equal(
      await refusal("DescribeSnapshots", { SnapshotIds: [snapshotOf(other)] }),
      "400 InvalidSnapshot.NotFound",
    )
    const [InstanceId] = await launch()
    await ec2("CreateImage", { InstanceId, Name: other.Name })
    await daemon.settled()
  },

  async EnableImageDeregistrationProtection(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    assert.equal((await shown(cloud, ImageId)).DeregistrationProtection, "disabled")
    await ec2("EnableImageDeregistrationProtection", { ImageId })
    assert.equal((await shown(cloud, ImageId)).DeregistrationProtection, "enabled-without-cooldown")
    assert.equal(await refusal("DeregisterImage", { ImageId }), "400 OperationNotPermitted")
    const refused = (input: object) => refusal("EnableImageDeregistrationProtection", { ImageId, ...input })
    assert.equal(await refused({ ImageId: cloud.image }), "403 AuthFailure")
    assert.equal(await refused({ ImageId: "ami" }), "400 InvalidAMIID.Malformed")
  },

  async DisableImageDeregistrationProtection(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    await ec2("EnableImageDeregistrationProtection", { ImageId })
    await ec2("DisableImageDeregistrationProtection", { ImageId })
    await ec2("DeregisterImage", { ImageId })
    const { ImageId: cooled = "" } = await makeImage(cloud)
    await ec2("EnableImageDeregistrationProtection", { ImageId: cooled, WithCooldown: true })
    assert.equal((await shown(cloud, cooled)).DeregistrationProtection, "enabled-with-cooldown")
    await ec2("DisableImageDeregistrationProtection", { ImageId: cooled })
    assert.match((await shown(cloud, cooled)).DeregistrationProtection ?? "", /^disabled-with-cooldown/)
    assert.equal(await refusal("DeregisterImage", { ImageId: cooled }), "400 OperationNotPermitted")
    assert.equal(await refusal("DisableImageDeregistrationProtection", { ImageId }), "400 InvalidAMIID.NotFound")
  },
} satisfies Checks
