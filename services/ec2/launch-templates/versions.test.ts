/** Many versions of one template: ranges of them, pages, and the latest one after many were deleted. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { DescribeLaunchTemplateVersionsResult } from "@aws-sdk/client-ec2"
import { account, openRig, region } from "#tests/ec2/rig.ts"
import { rangeTerms } from "./record.ts"
import { versionScope } from "./versions.ts"

test("a range of versions holds those and no others, page by page, whatever its ends", async (t) => {
  const rig = await openRig(t)
  const LaunchTemplateData = { InstanceType: "t3.micro" as const }
  const made = await rig.ec2("CreateLaunchTemplate", { LaunchTemplateName: "many", LaunchTemplateData })
  const LaunchTemplateId = made.LaunchTemplate?.LaunchTemplateId ?? assert.fail("no template")
  const last = 320
  for (let number = 2; number <= last; number++)
    await rig.ec2("CreateLaunchTemplateVersion", { LaunchTemplateId, LaunchTemplateData })
  const numbers = async (MinVersion: string | undefined, MaxVersion: string | undefined) => {
    const seen: (number | undefined)[] = []
    let NextToken: string | undefined
    do {
      const page: DescribeLaunchTemplateVersionsResult = await rig.ec2("DescribeLaunchTemplateVersions", {
        LaunchTemplateId,
        MinVersion,
        MaxVersion,
        NextToken,
        MaxResults: 70,
      })
      seen.push(...(page.LaunchTemplateVersions ?? []).map(({ VersionNumber }) => VersionNumber))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    return seen
  }
  const from = (min: number, max: number) => Array.from({ length: max - min + 1 }, (_, index) => min + index)
  for (const [min, max] of [
    [1, last],
    [1, 99],
    [99, 101],
    [100, 199],
    [100, 200],
    [57, 305],
    [300, last],
  ] as const)
    assert.deepEqual(await numbers(String(min), String(max)), from(min, max))
  assert.deepEqual(await numbers("310", undefined), from(310, last))
  assert.deepEqual(await numbers(undefined, "3"), [1, 2, 3])

  const Versions = from(121, last).map(String)
  await rig.ec2("DeleteLaunchTemplateVersions", { LaunchTemplateId, Versions })
  assert.deepEqual(await numbers("100", "9999999999"), from(100, 120))
  const { LaunchTemplates } = await rig.ec2("DescribeLaunchTemplates", {})
  assert.equal(LaunchTemplates?.[0]?.LatestVersionNumber, 120)
})

test("a Region has 5,000 templates, a template 10,000 versions, and no more", async (t) => {
  const rig = await openRig(t)
  const LaunchTemplateData = { InstanceType: "t3.micro" as const }
  const create = { LaunchTemplateName: "one", LaunchTemplateData }
  const { LaunchTemplate } = await rig.ec2("CreateLaunchTemplate", create)
  const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? assert.fail("no template")
  // As many as there may be are counted by their claims.
  const claim = (scope: string, from: number, to: number) =>
    rig.change((call) => {
      for (let key = from; key <= to; key++) call.draft.claim(scope, `other ${key}`, LaunchTemplateId)
    })
  const version = { LaunchTemplateId, LaunchTemplateData }
  await claim(versionScope(LaunchTemplateId), 3, 10_000)
  const { LaunchTemplateVersion } = await rig.ec2("CreateLaunchTemplateVersion", version)
  assert.equal(LaunchTemplateVersion?.VersionNumber, 2)
  assert.match(await rig.fault("CreateLaunchTemplateVersion", version), /^ResourceLimitExceeded: .*10000 versions/)
  await rig.ec2("DeleteLaunchTemplateVersions", { LaunchTemplateId, Versions: ["2"] })
  await rig.ec2("CreateLaunchTemplateVersion", version)

  await claim(`launch-template-name:${account}:${region}`, 3, 5000)
  await rig.ec2("CreateLaunchTemplate", { ...create, LaunchTemplateName: "two" })
  const three = { ...create, LaunchTemplateName: "three" }
  assert.match(await rig.fault("CreateLaunchTemplate", three), /^ResourceLimitExceeded: .*5000 launch templates/)
  await rig.ec2("DeleteLaunchTemplate", { LaunchTemplateName: "two" })
  await rig.ec2("CreateLaunchTemplate", three)
})

test("a range of many numbers is few terms", () => {
  assert.deepEqual(rangeTerms(99, 201), ["99", "1 of 100", "200", "201"])
  assert.deepEqual(rangeTerms(5, 4), [])
  assert.ok(rangeTerms(1, 2_000_000).length < 700)
})
