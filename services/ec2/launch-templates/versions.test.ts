/** Many versions of one template: ranges of them, pages, and the latest one after many were deleted. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { DescribeLaunchTemplateVersionsResult } from "@aws-sdk/client-ec2"
import { openRig } from "#tests/ec2/rig.ts"
import { rangeTerms } from "./record.ts"

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

test("a range of many numbers is few terms", () => {
  assert.deepEqual(rangeTerms(99, 201), ["99", "1 of 100", "200", "201"])
  assert.deepEqual(rangeTerms(5, 4), [])
  assert.ok(rangeTerms(1, 2_000_000).length < 700)
})
