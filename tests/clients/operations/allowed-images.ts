import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"
import { makeImage } from "./images.ts"

const listed = async ({ ec2 }: TestCloud) =>
  new Map((await ec2("DescribeImages", {})).Images?.map(({ ImageId, ImageAllowed }) => [ImageId, ImageAllowed]))

/** Runs with these settings, and takes them back. */
async function under(
  { ec2 }: TestCloud,
  state: "enabled" | "audit-mode",
  criteria: readonly object[],
  work: () => Promise<void>,
): Promise<void> {
  await ec2("ReplaceImageCriteriaInAllowedImagesSettings", { ImageCriteria: [...criteria] })
  await ec2("EnableAllowedImagesSettings", { AllowedImagesSettingsState: state })
  try {
    await work()
  } finally {
    await ec2("DisableAllowedImagesSettings", {})
    await ec2("ReplaceImageCriteriaInAllowedImagesSettings", { ImageCriteria: [] })
  }
}

const noOthers = [{ ImageProviders: ["none"] }]

export const allowedImages = {
  async GetAllowedImagesSettings({ ec2, refusal }) {
    assert.deepEqual(await ec2("GetAllowedImagesSettings", {}), {
      State: "disabled",
      ImageCriteria: [],
      ManagedBy: "account",
    })
    assert.equal(await refusal("GetAllowedImagesSettings", { DryRun: true }), "412 DryRunOperation")
  },

  async EnableAllowedImagesSettings(cloud) {
    const { refusal, image, launch } = cloud
    const { ImageId: own = "" } = await makeImage(cloud)
    await under(cloud, "enabled", noOthers, async () => {
      const seen = await listed(cloud)
      assert.deepEqual([seen.get(own), seen.has(image)], [true, false])
      await launch({ ImageId: own })
      const run = { ImageId: image, MinCount: 1, MaxCount: 1, InstanceType: "t3.micro" } as const
      assert.equal(await refusal("RunInstances", run), "400 InvalidAMIID.NotFound")
    })
    await under(cloud, "audit-mode", noOthers, async () => {
      const seen = await listed(cloud)
      assert.deepEqual([seen.get(own), seen.get(image)], [true, false])
      await launch()
    })
    assert.equal((await listed(cloud)).get(image), undefined)
    const refused = (state: unknown) =>
      refusal("EnableAllowedImagesSettings", { AllowedImagesSettingsState: state as never })
    assert.equal(await refused("on"), "400 InvalidParameterValue")
    assert.equal(await refused(undefined), "400 MissingParameter")
  },

  async DisableAllowedImagesSettings({ ec2, refusal }) {
    const answer = await ec2("DisableAllowedImagesSettings", {})
    assert.deepEqual(answer, { AllowedImagesSettingsState: "disabled" })
    assert.equal(await refusal("DisableAllowedImagesSettings", { DryRun: true }), "412 DryRunOperation")
  },

  async ReplaceImageCriteriaInAllowedImagesSettings(cloud) {
    const { ec2, refusal, image } = cloud
    const { Images: [facts] = [] } = await ec2("DescribeImages", { ImageIds: [image] })
    const allowed = async (...criteria: readonly object[]) => {
      let found: boolean | undefined
      await under(cloud, "audit-mode", criteria, async () => {
        assert.deepEqual((await ec2("GetAllowedImagesSettings", {})).ImageCriteria, criteria)
        found = (await listed(cloud)).get(image)
      })
      return found
    }
    assert.equal(await allowed({ ImageProviders: ["amazon"] }), true)
    assert.equal(await allowed({ ImageProviders: [facts?.OwnerId] }), true)
    assert.equal(await allowed({ ImageProviders: ["123456789012"] }), false)
    assert.equal(
      await allowed({ ImageProviders: ["123456789012"] }, { ImageNames: [`${facts?.Name?.slice(0, 4)}*`] }),
      true,
    )
    assert.equal(await allowed({ ImageProviders: ["amazon"], ImageNames: ["none*"] }), false)
    assert.equal(await allowed({ CreationDateCondition: { MaximumDaysSinceCreated: 100_000 } }), true)
    assert.equal(await allowed({ MarketplaceProductCodes: ["abcdefghijklmnopqrstuvwxy"] }), false)
    const refused = (...ImageCriteria: readonly object[]) =>
      refusal("ReplaceImageCriteriaInAllowedImagesSettings", { ImageCriteria: [...ImageCriteria] })
    assert.equal(await refused({ ImageProviders: ["me"] }), "400 InvalidParameterValue")
    assert.equal(await refused({ CreationDateCondition: { MaximumDaysSinceCreated: -1 } }), "400 InvalidParameterValue")
    const many = Array.from({ length: 11 }, () => ({ ImageNames: ["a"] }))
    assert.equal(await refused(...many), "400 InvalidParameterValue")
  },

  async DescribeInstanceImageMetadata(cloud) {
    const { ec2, refusal, launch, image } = cloud
    const own = await makeImage(cloud)
    const [mine] = await launch({ ImageId: own.ImageId })
    const [other] = await launch()
    const metadata = async (input: object) =>
      (await ec2("DescribeInstanceImageMetadata", input)).InstanceImageMetadata ?? []
    const [row] = await metadata({ InstanceIds: [mine] })
    assert.deepEqual(
      [row?.ImageMetadata?.ImageId, row?.ImageMetadata?.Name, row?.State?.Name, row?.ImageMetadata?.IsPublic],
      [own.ImageId, own.Name, "running", false],
    )
    const alias = await metadata({ Filters: [{ Name: "owner-alias", Values: ["amazon"] }] })
    const ids = new Set(alias.map(({ InstanceId }) => InstanceId))
    assert.deepEqual([ids.has(mine), ids.has(other)], [false, true])
    await under(cloud, "audit-mode", noOthers, async () => {
      const no = await metadata({ Filters: [{ Name: "image-allowed", Values: ["false"] }] })
      assert.ok(no.length > 0 && no.every((each) => each.ImageMetadata?.ImageId === image))
    })
    await ec2("DeregisterImage", { ImageId: own.ImageId })
    const [gone] = await metadata({ InstanceIds: [mine] })
    assert.deepEqual(gone?.ImageMetadata, { ImageId: own.ImageId })
    assert.equal(
      await refusal("DescribeInstanceImageMetadata", { InstanceIds: ["i-00000000000000000"] }),
      "400 InvalidInstanceID.NotFound",
    )
  },
} satisfies Checks
