import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"
import { makeImage, snapshotOf } from "./images.ts"

const nowhere = "snap-00000000000000000"
const friend = "210987654321"
const tagged = [{ ResourceType: "snapshot" as const, Tags: [{ Key: "of", Value: "volumes" }] }]

/** Of a new instance: a data volume and the root. */
async function volumes({ ec2, launch }: TestCloud) {
  const [InstanceId] = await launch({ BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3 } }] })
  const Filters = [{ Name: "attachment.instance-id", Values: [InstanceId] }]
  const { Volumes: found = [] } = await ec2("DescribeVolumes", { Filters })
  const at = (device: string) => found.find(({ Attachments }) => Attachments?.[0]?.Device === device)?.VolumeId ?? ""
  return { InstanceId, VolumeId: at("/dev/sdf"), root: at("/dev/xvda") }
}

export const snapshots = {
  async DescribeSnapshots(cloud) {
    const { ec2, refusal, daemon } = cloud
    const id = snapshotOf(await makeImage(cloud))
    const { account } = daemon.credentials
    const found = async (input: object) =>
      (await ec2("DescribeSnapshots", input)).Snapshots?.some(({ SnapshotId }) => SnapshotId === id)
    const { Snapshots: [snapshot] = [] } = await ec2("DescribeSnapshots", { SnapshotIds: [id] })
    assert.deepEqual(
      [snapshot?.State, snapshot?.OwnerId, snapshot?.Encrypted, snapshot?.VolumeSize],
      ["completed", account, false, 1],
    )
    assert.equal(await found({}), true)
    assert.equal(await found({ OwnerIds: ["self"] }), true)
    assert.equal(await found({ OwnerIds: ["amazon"] }), false)
    assert.equal(await found({ OwnerIds: [account] }), true)
    assert.equal(await found({ RestorableByUserIds: ["self"] }), false)
    assert.equal(await found({ RestorableByUserIds: ["all"] }), false)
    const second = snapshotOf(await makeImage(cloud))
    const Filters = [{ Name: "snapshot-id", Values: [id, second] }]
    for (let at = 0; at < 4; at++) await makeImage(cloud)
    const page = await ec2("DescribeSnapshots", { MaxResults: 5 })
    assert.equal(page.Snapshots?.length, 5)
    assert.notEqual((await ec2("DescribeSnapshots", { MaxResults: 5, NextToken: page.NextToken })).Snapshots?.length, 0)
    assert.equal((await ec2("DescribeSnapshots", { Filters })).Snapshots?.length, 2)
    const refused = (input: object) => refusal("DescribeSnapshots", input)
    assert.equal(await refused({ SnapshotIds: [nowhere] }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ SnapshotIds: ["snap"] }), "400 InvalidParameterValue")
    assert.equal(await refused({ SnapshotIds: [id], MaxResults: 5 }), "400 InvalidParameterCombination")
    assert.equal(await refused({ OwnerIds: ["me"] }), "400 InvalidUserID.Malformed")
    assert.equal(await refused({ Filters: [{ Name: "nonsense", Values: ["1"] }] }), "400 InvalidParameterValue")
  },

  async DeleteSnapshot(cloud) {
    const { ec2, refusal } = cloud
    const image = await makeImage(cloud)
    const SnapshotId = snapshotOf(image)
    const refused = (input: object) => refusal("DeleteSnapshot", { SnapshotId, ...input })
    assert.equal(await refused({}), "400 InvalidSnapshot.InUse")
    await ec2("DeregisterImage", { ImageId: image.ImageId })
    await ec2("DeleteSnapshot", { SnapshotId })
    assert.equal(await refusal("DescribeSnapshots", { SnapshotIds: [SnapshotId] }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ SnapshotId: nowhere }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ SnapshotId: undefined }), "400 MissingParameter")
  },

  async CreateSnapshot(cloud) {
    const { ec2, refusal, daemon } = cloud
    const { VolumeId, root } = await volumes(cloud)
    const made = await ec2("CreateSnapshot", { VolumeId, Description: "data", TagSpecifications: tagged })
    assert.deepEqual([made.State, made.VolumeId, made.VolumeSize, made.Tags], ["pending", VolumeId, 3, tagged[0]?.Tags])
    const { SnapshotId = "" } = made
    await daemon.settled()
    const { Snapshots: [snapshot] = [] } = await ec2("DescribeSnapshots", { SnapshotIds: [SnapshotId] })
    assert.deepEqual([snapshot?.State, snapshot?.Description], ["completed", "data"])
    const mapping = (VolumeSize: number) => [{ DeviceName: "/dev/sdh", Ebs: { SnapshotId, VolumeSize } }]
    const [clone] = await cloud.launch({ BlockDeviceMappings: mapping(4) })
    const Filters = [{ Name: "attachment.instance-id", Values: [clone] }]
    const { Volumes = [] } = await ec2("DescribeVolumes", { Filters })
    assert.deepEqual(
      Volumes.filter((each) => each.SnapshotId === SnapshotId).map(({ Size }) => Size),
      [4],
    )
    const run = { ImageId: cloud.image, MinCount: 1, MaxCount: 1, InstanceType: "t3.micro" } as const
    const small = { ...run, BlockDeviceMappings: mapping(2) }
    assert.equal(await refusal("RunInstances", small), "400 InvalidBlockDeviceMapping")
    const none = [{ DeviceName: "/dev/sdh", Ebs: { SnapshotId: nowhere } }]
    assert.equal(await refusal("RunInstances", { ...run, BlockDeviceMappings: none }), "400 InvalidSnapshot.NotFound")
    const refused = (input: object) => refusal("CreateSnapshot", { VolumeId: root, ...input })
    assert.equal(await refused({ VolumeId: "vol-00000000000000000" }), "400 InvalidVolume.NotFound")
    assert.equal(await refused({ Description: "a".repeat(256) }), "400 InvalidParameterValue")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
  },

  async CreateSnapshots(cloud) {
    const { ec2, refusal, daemon } = cloud
    const { VolumeId, root, InstanceId } = await volumes(cloud)
    const both = await ec2("CreateSnapshots", { InstanceSpecification: { InstanceId }, TagSpecifications: tagged })
    assert.deepEqual(new Set(both.Snapshots?.map((each) => each.VolumeId)), new Set([VolumeId, root]))
    const InstanceSpecification = { InstanceId, ExcludeBootVolume: true }
    const data = await ec2("CreateSnapshots", { InstanceSpecification })
    assert.deepEqual(
      data.Snapshots?.map((each) => each.VolumeId),
      [VolumeId],
    )
    await daemon.settled()
    const SnapshotIds = both.Snapshots?.map(({ SnapshotId = "" }) => SnapshotId)
    const { Snapshots = [] } = await ec2("DescribeSnapshots", { SnapshotIds })
    assert.deepEqual(
      Snapshots.map(({ State }) => State),
      ["completed", "completed"],
    )
    const refused = (more: object) => refusal("CreateSnapshots", { InstanceSpecification: { InstanceId, ...more } })
    assert.equal(await refused({ InstanceId: "i-00000000000000000" }), "400 InvalidInstanceID.NotFound")
    assert.equal(await refused({ ExcludeDataVolumeIds: [root] }), "400 InvalidParameterValue")
    assert.equal(
      await refused({ ExcludeBootVolume: true, ExcludeDataVolumeIds: [VolumeId] }),
      "400 InvalidParameterCombination",
    )
  },

  async CopySnapshot(cloud) {
    const { ec2, refusal, daemon } = cloud
    const SourceSnapshotId = snapshotOf(await makeImage(cloud))
    const asked = { SourceSnapshotId, SourceRegion: "us-east-1" }
    const { SnapshotId = "" } = await ec2("CopySnapshot", { ...asked, Encrypted: true })
    await daemon.settled()
    const { Snapshots: [copy] = [] } = await ec2("DescribeSnapshots", { SnapshotIds: [SnapshotId] })
    assert.deepEqual([copy?.State, copy?.Encrypted, copy?.VolumeId], ["completed", true, "vol-ffffffff"])
    const refused = (input: object) => refusal("CopySnapshot", { ...asked, ...input })
    assert.equal(await refused({ SourceRegion: "eu-west-1" }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ SourceRegion: "nowhere" }), "400 InvalidParameterValue")
    assert.equal(await refused({ KmsKeyId: "alias/aws/ebs" }), "400 InvalidParameterDependency")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
  },

  async ModifySnapshotAttribute(cloud) {
    const { ec2, refusal } = cloud
    const SnapshotId = snapshotOf(await makeImage(cloud))
    const permissions = async () =>
      (await ec2("DescribeSnapshotAttribute", { SnapshotId, Attribute: "createVolumePermission" }))
        .CreateVolumePermissions
    await ec2("ModifySnapshotAttribute", { SnapshotId, CreateVolumePermission: { Add: [{ UserId: friend }] } })
    assert.deepEqual(await permissions(), [{ UserId: friend }])
    const { Snapshots = [] } = await ec2("DescribeSnapshots", { RestorableByUserIds: [friend] })
    assert.deepEqual(
      Snapshots.map((each) => each.SnapshotId),
      [SnapshotId],
    )
    const all = { SnapshotId, OperationType: "add" as const, GroupNames: ["all"] }
    await ec2("ModifySnapshotAttribute", all)
    assert.deepEqual(await permissions(), [{ Group: "all" }, { UserId: friend }])
    await ec2("ModifySnapshotAttribute", { ...all, OperationType: "remove", UserIds: [friend] })
    assert.deepEqual(await permissions(), [])
    const refused = (input: object) => refusal("ModifySnapshotAttribute", { SnapshotId, ...input })
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(
      await refused({ SnapshotId: nowhere, UserIds: [friend], OperationType: "add" }),
      "400 InvalidSnapshot.NotFound",
    )
    assert.equal(await refused({ UserIds: ["me"], OperationType: "add" }), "400 InvalidAMIAttributeItemValue")
  },

  async DescribeSnapshotAttribute(cloud) {
    const { ec2, refusal } = cloud
    const SnapshotId = snapshotOf(await makeImage(cloud))
    const codes = await ec2("DescribeSnapshotAttribute", { SnapshotId, Attribute: "productCodes" })
    assert.deepEqual(codes, { SnapshotId, ProductCodes: [] })
    const refused = (input: object) =>
      refusal("DescribeSnapshotAttribute", { SnapshotId, Attribute: "createVolumePermission", ...input })
    assert.equal(await refused({ SnapshotId: nowhere }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ Attribute: "none" }), "400 InvalidParameterValue")
  },

  async ResetSnapshotAttribute(cloud) {
    const { ec2, refusal } = cloud
    const SnapshotId = snapshotOf(await makeImage(cloud))
    await ec2("ModifySnapshotAttribute", { SnapshotId, CreateVolumePermission: { Add: [{ UserId: friend }] } })
    await ec2("ResetSnapshotAttribute", { SnapshotId, Attribute: "createVolumePermission" })
    const read = await ec2("DescribeSnapshotAttribute", { SnapshotId, Attribute: "createVolumePermission" })
    assert.deepEqual(read.CreateVolumePermissions, [])
    assert.equal(
      await refusal("ResetSnapshotAttribute", { SnapshotId, Attribute: "productCodes" }),
      "400 InvalidParameterValue",
    )
  },
} satisfies Checks
