import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import { makeImage, shown } from "./images.ts"

const nowhere = "ami-00000000000000000"
const dayMs = 24 * 3_600_000

export const imageStates = {
  async DisableImage(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    await ec2("ModifyImageAttribute", { ImageId, LaunchPermission: { Add: [{ UserId: "210987654321" }] } })
    await ec2("DisableImage", { ImageId })
    assert.equal((await shown(cloud, ImageId)).State, "disabled")
    assert.deepEqual((await ec2("DescribeImages", { ImageIds: [ImageId] })).Images, [])
    const permissions = await ec2("DescribeImageAttribute", { ImageId, Attribute: "launchPermission" })
    assert.deepEqual(permissions.LaunchPermissions, [])
    const launch = { ImageId, MinCount: 1, MaxCount: 1, InstanceType: "t3.micro" } as const
    assert.equal(await refusal("RunInstances", launch), "400 InvalidAMIID.Unavailable")
    assert.equal(await refusal("DisableImage", { ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refusal("DisableImage", { ImageId: cloud.image }), "403 AuthFailure")
  },

  async EnableImage(cloud) {
    const { ec2, refusal, launch } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    await ec2("DisableImage", { ImageId })
    await ec2("EnableImage", { ImageId })
    assert.equal((await shown(cloud, ImageId)).State, "available")
    await launch({ ImageId })
    assert.equal(await refusal("EnableImage", { ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refusal("EnableImage", { ImageId, DryRun: true }), "412 DryRunOperation")
  },

  async EnableImageDeprecation(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    const DeprecateAt = new Date(Date.UTC(2027, 5, 1, 12, 30, 29))
    await ec2("EnableImageDeprecation", { ImageId, DeprecateAt })
    assert.equal((await shown(cloud, ImageId)).DeprecationTime, "2027-06-01T12:30:00.000Z")
    const refused = (input: object) => refusal("EnableImageDeprecation", { ImageId, DeprecateAt, ...input })
    assert.equal(await refused({ DeprecateAt: new Date(0) }), "400 InvalidParameterValue")
    assert.equal(await refused({ DeprecateAt: new Date(Date.now() + 4_000 * dayMs) }), "400 InvalidParameterValue")
    assert.equal(await refused({ DeprecateAt: undefined }), "400 MissingParameter")
    assert.equal(await refused({ ImageId: cloud.image }), "403 AuthFailure")
  },

  async DisableImageDeprecation(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    await ec2("EnableImageDeprecation", { ImageId, DeprecateAt: new Date(Date.now() + 30 * dayMs) })
    await ec2("DisableImageDeprecation", { ImageId })
    assert.equal((await shown(cloud, ImageId)).DeprecationTime, undefined)
    assert.equal(await refusal("DisableImageDeprecation", { ImageId: nowhere }), "400 InvalidAMIID.NotFound")
  },

  async GetImageBlockPublicAccessState({ ec2, refusal }) {
    assert.deepEqual(await ec2("GetImageBlockPublicAccessState", {}), {
      ImageBlockPublicAccessState: "block-new-sharing",
      ManagedBy: "account",
    })
    assert.equal(await refusal("GetImageBlockPublicAccessState", { DryRun: true }), "412 DryRunOperation")
  },

  async DisableImageBlockPublicAccess(cloud) {
    const { ec2, refusal } = cloud
    const { ImageId = "" } = await makeImage(cloud)
    const all = { ImageId, LaunchPermission: { Add: [{ Group: "all" as const }] } }
    assert.equal(await refusal("ModifyImageAttribute", all), "400 OperationNotPermitted")
    const off = await ec2("DisableImageBlockPublicAccess", {})
    assert.equal(off.ImageBlockPublicAccessState, "unblocked")
    await ec2("ModifyImageAttribute", all)
    assert.equal((await shown(cloud, ImageId)).Public, true)
    await ec2("EnableImageBlockPublicAccess", { ImageBlockPublicAccessState: "block-new-sharing" })
    assert.equal((await shown(cloud, ImageId)).Public, true, "what is public stays so")
    await ec2("ResetImageAttribute", { ImageId, Attribute: "launchPermission" })
    assert.equal(await refusal("DisableImageBlockPublicAccess", { DryRun: true }), "412 DryRunOperation")
  },

  async EnableImageBlockPublicAccess({ ec2, refusal }) {
    const ImageBlockPublicAccessState = "block-new-sharing"
    const on = await ec2("EnableImageBlockPublicAccess", { ImageBlockPublicAccessState })
    assert.deepEqual(on, { ImageBlockPublicAccessState })
    const refused = (state: unknown) =>
      refusal("EnableImageBlockPublicAccess", { ImageBlockPublicAccessState: state as never })
    assert.equal(await refused("unblocked"), "400 InvalidParameterValue")
    assert.equal(await refused(undefined), "400 MissingParameter")
  },
} satisfies Checks
