import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "ami-00000000000000000"

const enabled = async ({ ec2 }: TestCloud) =>
  ((await ec2("DescribeFastLaunchImages", {})).FastLaunchImages ?? []).map(
    ({ ImageId, State }) => `${ImageId} ${State}`,
  )

async function disable({ ec2, daemon, image }: TestCloud): Promise<void> {
  await ec2("DisableFastLaunch", { ImageId: image })
  await daemon.settled()
}

export const fastLaunch = {
  async EnableFastLaunch(cloud) {
    const { ec2, refusal, daemon, image: ImageId } = cloud
    const refused = (input: object) => refusal("EnableFastLaunch", { ImageId, ...input })
    assert.equal(await refused({ ImageId: undefined }), "400 MissingParameter")
    assert.equal(await refused({ ImageId: "ami" }), "400 InvalidAMIID.Malformed")
    assert.equal(await refused({ ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ MaxParallelLaunches: 5 }), "400 InvalidParameterValue")
    assert.equal(await refused({ SnapshotConfiguration: { TargetResourceCount: 0 } }), "400 InvalidParameterValue")
    assert.equal(await refused({ ResourceType: "volume" }), "400 InvalidParameterValue")
    const nobody = { LaunchTemplateName: "any", Version: "1" }
    assert.equal(await refused({ LaunchTemplate: nobody }), "400 InvalidLaunchTemplateName.NotFoundException")
    assert.equal(await refused({ LaunchTemplate: { LaunchTemplateName: "any" } }), "400 MissingParameter")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.deepEqual(await enabled(cloud), [])

    const { StateTransitionTime, OwnerId, ...begun } = await ec2("EnableFastLaunch", { ImageId })
    assert.deepEqual(begun, {
      ImageId,
      ResourceType: "snapshot",
      SnapshotConfiguration: { TargetResourceCount: 5 },
      MaxParallelLaunches: 6,
      State: "enabling",
      StateTransitionReason: "Client.UserInitiated",
    })
    assert.ok(StateTransitionTime instanceof Date)
    const { Images: [image] = [] } = await ec2("DescribeImages", { ImageIds: [ImageId] })
    assert.equal(OwnerId, image?.OwnerId)
    await daemon.settled()
    assert.deepEqual(await enabled(cloud), [`${ImageId} enabled`])
    const more = { MaxParallelLaunches: 8, SnapshotConfiguration: { TargetResourceCount: 2 } }
    const changed = await ec2("EnableFastLaunch", { ImageId, ResourceType: "snapshot", ...more })
    assert.deepEqual(
      [changed.State, changed.MaxParallelLaunches, changed.SnapshotConfiguration?.TargetResourceCount],
      ["enabled", 8, 2],
    )
    const { LaunchTemplate: made } = await ec2("CreateLaunchTemplate", {
      LaunchTemplateName: "fast",
      LaunchTemplateData: { InstanceType: "t3.small" },
    })
    const LaunchTemplate = { LaunchTemplateName: "fast", Version: "$Latest" }
    const shown = { LaunchTemplateId: made?.LaunchTemplateId, LaunchTemplateName: "fast", Version: "1" }
    assert.deepEqual((await ec2("EnableFastLaunch", { ImageId, LaunchTemplate })).LaunchTemplate, shown)
    const { FastLaunchImages: [described] = [] } = await ec2("DescribeFastLaunchImages", {})
    assert.deepEqual(described?.LaunchTemplate, shown)
    await ec2("DeleteLaunchTemplate", { LaunchTemplateName: "fast" })
    await disable(cloud)
  },

  async DescribeFastLaunchImages(cloud) {
    const { ec2, refusal, daemon, image: ImageId } = cloud
    await ec2("EnableFastLaunch", { ImageId })
    await daemon.settled()
    const { FastLaunchImages: [shown] = [] } = await ec2("DescribeFastLaunchImages", { ImageIds: [ImageId] })
    assert.equal(shown?.State, "enabled")
    const count = async (Name: string, ...Values: string[]) =>
      (await ec2("DescribeFastLaunchImages", { Filters: [{ Name, Values }] })).FastLaunchImages?.length
    assert.equal(await count("owner-id", shown?.OwnerId ?? ""), 1)
    assert.equal(await count("owner-id", daemon.credentials.account), 0)
    assert.equal(await count("resource-type", "snapshot"), 1)
    assert.equal(await count("state", "enab*"), 1)
    assert.equal(await count("state", "disabling"), 0)
    const page = await ec2("DescribeFastLaunchImages", { MaxResults: 1 })
    assert.deepEqual([page.FastLaunchImages?.length, page.NextToken], [1, undefined])
    const refused = (input: object) => refusal("DescribeFastLaunchImages", input)
    assert.equal(await refused({ ImageIds: ["ami"] }), "400 InvalidAMIID.Malformed")
    assert.equal(await refused({ ImageIds: [nowhere] }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({ Filters: [{ Name: "image-id", Values: [ImageId] }] }), "400 InvalidParameterValue")
    assert.equal(await refused({ MaxResults: 201 }), "400 InvalidParameterValue")
    assert.equal(await refused({ NextToken: "nonsense" }), "400 InvalidNextToken")
    await disable(cloud)
  },

  async DisableFastLaunch(cloud) {
    const { ec2, refusal, daemon, image: ImageId } = cloud
    const refused = (input: object) => refusal("DisableFastLaunch", { ImageId, ...input })
    assert.equal(await refused({ ImageId: undefined }), "400 MissingParameter")
    assert.equal(await refused({ ImageId: "ami" }), "400 InvalidAMIID.Malformed")
    assert.equal(await refused({ ImageId: nowhere }), "400 InvalidAMIID.NotFound")
    assert.equal(await refused({}), "400 InvalidRequest")
    await ec2("EnableFastLaunch", { ImageId })
    await daemon.settled()
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2("DisableFastLaunch", { ImageId })).State, "disabling")
    await daemon.settled()
    assert.deepEqual(await enabled(cloud), [])
    await ec2("EnableFastLaunch", { ImageId })
    await ec2("DisableFastLaunch", { ImageId, Force: true })
    assert.deepEqual(await enabled(cloud), [])
    await daemon.settled()
  },
} satisfies Checks
