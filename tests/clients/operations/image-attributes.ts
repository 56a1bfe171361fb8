import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import { makeImage, shown, snapshotOf } from "./images.ts"

const nowhere = "ami-00000000000000000"
const friend = "210987654321"

export const imageAttributes = {
  async DescribeImageAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const image = await makeImage(cloud, { Description: "as made" })
    const ImageId = image.ImageId ?? ""
    const read = (Attribute: unknown) => ec2("DescribeImageAttribute", { ImageId, Attribute: Attribute as never })
    assert.deepEqual(await read("description"), { ImageId, Description: { Value: "as made" } })
    assert.deepEqual(await read("launchPermission"), { ImageId, LaunchPermissions: [] })
    assert.deepEqual((await read("blockDeviceMapping")).BlockDeviceMappings?.[0]?.Ebs?.SnapshotId, snapshotOf(image))
    assert.equal((await read("bootMode")).BootMode?.Value, "legacy-bios")
    assert.deepEqual(await read("lastLaunchedTime"), { ImageId })
    const [id] = await launch({ ImageId })
    const { Reservations: [reservation] = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
    const at = reservation?.Instances?.[0]?.LaunchTime?.toISOString()
    assert.equal((await read("lastLaunchedTime")).LastLaunchedTime?.Value, at)
    for (const name of ["kernel", "ramdisk", "sriovNetSupport", "tpmSupport", "uefiData", "imdsSupport"])
      assert.deepEqual(await read(name), { ImageId }, name)
    const refused = (input: object) =>
      refusal("DescribeImageAttribute", { ImageId, Attribute: "description", ...input })
    assert.equal(await refused({ ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ ImageId: cloud.image }), "403 AuthFailure")
    assert.equal(await refused({ Attribute: "none" }), "400 InvalidParameterValue")
    assert.equal(await refused({ Attribute: undefined }), "400 MissingParameter")
  },

  async ModifyImageAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    const change = (input: object) => ec2("ModifyImageAttribute", { ImageId, ...input })
    const permissions = async () =>
      (await ec2("DescribeImageAttribute", { ImageId, Attribute: "launchPermission" })).LaunchPermissions
    await change({ Description: { Value: "changed" } })
    assert.equal((await shown(cloud, ImageId)).Description, "changed")
    await change({ Attribute: "description", Value: "again" })
    assert.equal((await shown(cloud, ImageId)).Description, "again")
    await change({ LaunchPermission: { Add: [{ UserId: friend }, { UserId: "111111111111" }] } })
    await change({ Attribute: "launchPermission", OperationType: "remove", UserIds: ["111111111111"] })
    assert.deepEqual(await permissions(), [{ UserId: friend }])
    await change({ ImdsSupport: { Value: "v2.0" } })
    assert.equal((await shown(cloud, ImageId)).ImdsSupport, "v2.0")
    const [id] = await launch({ ImageId })
    const { Reservations: [reservation] = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
    assert.equal(reservation?.Instances?.[0]?.MetadataOptions?.HttpTokens, "required")
    assert.equal(reservation?.Instances?.[0]?.MetadataOptions?.HttpPutResponseHopLimit, 2)

    const refused = (input: object) => refusal("ModifyImageAttribute", { ImageId, ...input })
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ Description: { Value: "a" }, UserIds: [friend] }), "400 InvalidParameterCombination")
    assert.equal(await refused({ Description: { Value: "a".repeat(256) } }), "400 InvalidParameterValue")
    const added = (permission: object) => refused({ LaunchPermission: { Add: [permission] } })
    assert.equal(await added({ UserId: "me" }), "400 InvalidAMIAttributeItemValue")
    assert.equal(await added({ Group: "some" as never }), "400 InvalidParameterValue")
    assert.equal(
      await added({ OrganizationArn: "arn:aws:organizations::1:organization/o-1" }),
      "400 UnsupportedOperation",
    )
    assert.equal(await refused({ Attribute: "launchPermission", UserIds: [friend] }), "400 InvalidParameterValue")
    assert.equal(await refused({ ProductCodes: ["1"] }), "400 UnsupportedOperation")
    assert.equal(await refused({ ImdsSupport: { Value: "v1.0" } }), "400 InvalidParameterValue")
    assert.equal(await refused({ ImageId: cloud.image, UserIds: [friend] }), "403 AuthFailure")
  },

  async ResetImageAttribute(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    await ec2("ModifyImageAttribute", { ImageId, LaunchPermission: { Add: [{ UserId: friend }] } })
    await ec2("ResetImageAttribute", { ImageId, Attribute: "launchPermission" })
    const { LaunchPermissions } = await ec2("DescribeImageAttribute", { ImageId, Attribute: "launchPermission" })
    assert.deepEqual(LaunchPermissions, [])
    const refused = (input: object) =>
      refusal("ResetImageAttribute", { ImageId, Attribute: "launchPermission", ...input })
    assert.equal(await refused({ Attribute: "description" }), "400 InvalidParameterValue")
    assert.equal(await refused({ ImageId: cloud.image }), "403 AuthFailure")
  },

  async CancelImageLaunchPermission(cloud) {
    const { ec2, refusal, daemon } = cloud
    const image = await makeImage(cloud)
    const { ImageId = "" } = image
    assert.equal(await refusal("CancelImageLaunchPermission", { ImageId }), "400 OperationNotPermitted")
    assert.equal(await refusal("CancelImageLaunchPermission", { ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    const friend = await cloud.stranger()
    const theirs = async () => (await friend.ec2("DescribeImages", { ImageIds: [ImageId] })).Images?.length
    await assert.rejects(theirs(), { name: "InvalidAMIID.NotFound" })
    await ec2("ModifyImageAttribute", { ImageId, LaunchPermission: { Add: [{ UserId: friend.account }] } })
    assert.equal(await theirs(), 1)
    const { Images } = await friend.ec2("DescribeImages", { ExecutableUsers: ["self"] })
    assert.deepEqual(
      Images?.map((image) => [image.ImageId, image.OwnerId]),
      [[ImageId, daemon.credentials.account]],
    )
    const run = { ImageId, MinCount: 1, MaxCount: 1, InstanceType: "t3.micro" } as const
    const { Instances = [] } = await friend.ec2("RunInstances", run)
    await daemon.settled()
    await friend.ec2("TerminateInstances", { InstanceIds: [Instances[0]?.InstanceId ?? ""] })
    const copy = { SourceImageId: ImageId, SourceRegion: "us-east-1", Name: cloud.name() }
    await assert.rejects(friend.ec2("CopyImage", copy), { name: "InvalidRequest" })
    await ec2("ModifySnapshotAttribute", {
      SnapshotId: snapshotOf(image),
      CreateVolumePermission: { Add: [{ UserId: friend.account }] },
    })
    await friend.ec2("CopyImage", copy)
    await daemon.settled()
    assert.equal((await friend.ec2("CancelImageLaunchPermission", { ImageId })).Return, true)
    await assert.rejects(theirs(), { name: "InvalidAMIID.NotFound" })
    await assert.rejects(friend.ec2("RunInstances", run), { name: "InvalidAMIID.NotFound" })
  },
} satisfies Checks
