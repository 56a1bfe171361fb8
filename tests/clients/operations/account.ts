import assert from "node:assert/strict"
import { EC2Client, DescribeVpcsCommand } from "@aws-sdk/client-ec2"
import type { Done, TestCloud } from "./cloud.ts"

const RegionName = "eu-south-2"

/** Whether an own region is there to call. */
async function calls({ daemon }: TestCloud, region: string): Promise<string> {
  const client = new EC2Client({ endpoint: daemon.endpoint, region, credentials: daemon.credentials, maxAttempts: 1 })
  const said = await client.send(new DescribeVpcsCommand({})).then(
    ({ Vpcs }) => `${Vpcs?.length} VPC`,
    (error: Error) => error.name,
  )
  client.destroy()
  return said
}

/** What every operation on a region refuses. */
async function refuses({ refusalOf }: TestCloud, operation: Done<"account">): Promise<void> {
  const refused = (input: object) => refusalOf("account", operation, { RegionName, ...input })
  assert.equal(await refused({ AccountId: "210987654321" }), "403 AccessDeniedException")
  assert.equal(await refused({ AccountId: "me" }), "400 ValidationException")
  if (operation === "ListRegions") return
  assert.equal(await refused({ RegionName: undefined }), "400 ValidationException")
  assert.equal(await refused({ RegionName: "mars-1" }), "400 ValidationException")
}

export const account = {
  async EnableRegion(cloud) {
    const { account, ec2, refusalOf } = cloud
    await refuses(cloud, "EnableRegion")
    assert.equal(await refusalOf("account", "EnableRegion", { RegionName: "us-east-1" }), "400 ValidationException")
    assert.equal(await calls(cloud, RegionName), "AuthFailure")
    await account("EnableRegion", { RegionName })
    assert.equal(await calls(cloud, RegionName), "1 VPC")
    assert.equal(await calls(cloud, "eu-south-1"), "AuthFailure")
    const statuses = async (input: object) =>
      (await ec2("DescribeRegions", input)).Regions?.map((one) => `${one.RegionName} ${one.OptInStatus}`) ?? []
    assert.ok((await statuses({})).includes(`${RegionName} opted-in`))
    await account("EnableRegion", { RegionName })
    await account("DisableRegion", { RegionName })
  },

  async DisableRegion(cloud) {
    const { account } = cloud
    await refuses(cloud, "DisableRegion")
    await account("EnableRegion", { RegionName })
    // Answered twice, the second time from memory.
    assert.deepEqual([await calls(cloud, RegionName), await calls(cloud, RegionName)], ["1 VPC", "1 VPC"])
    await account("DisableRegion", { RegionName })
    assert.equal(await calls(cloud, RegionName), "AuthFailure")
    await account("DisableRegion", { RegionName })
    assert.equal((await account("GetRegionOptStatus", { RegionName })).RegionOptStatus, "DISABLED")
  },

  async GetRegionOptStatus(cloud) {
    const { account } = cloud
    await refuses(cloud, "GetRegionOptStatus")
    const status = (name: string) => account("GetRegionOptStatus", { RegionName: name })
    assert.deepEqual(await status("us-east-1"), { RegionName: "us-east-1", RegionOptStatus: "ENABLED_BY_DEFAULT" })
    assert.deepEqual(await status(RegionName), { RegionName, RegionOptStatus: "DISABLED" })
    await account("EnableRegion", { RegionName })
    assert.deepEqual(await status(RegionName), { RegionName, RegionOptStatus: "ENABLED" })
    await account("DisableRegion", { RegionName })
  },

  async ListRegions(cloud) {
    const { account, ec2, refusalOf } = cloud
    await refuses(cloud, "ListRegions")
    for (const wrong of [
      { MaxResults: 51 },
      { MaxResults: 0 },
      { NextToken: "x" },
      { RegionOptStatusContains: ["SOME"] },
    ])
      assert.equal(await refusalOf("account", "ListRegions", wrong), "400 ValidationException", JSON.stringify(wrong))
    await account("EnableRegion", { RegionName })
    const enabled = { RegionOptStatusContains: ["ENABLED" as const] }
    assert.deepEqual((await account("ListRegions", enabled)).Regions, [{ RegionName, RegionOptStatus: "ENABLED" }])
    const names: string[] = []
    let NextToken: string | undefined
    do {
      const page = await account("ListRegions", { MaxResults: 10, ...(NextToken && { NextToken }) })
      names.push(...(page.Regions ?? []).map((each) => each.RegionName ?? ""))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    const { Regions = [] } = await ec2("DescribeRegions", { AllRegions: true })
    assert.deepEqual(names, Regions.map((each) => each.RegionName ?? "").toSorted())
    await account("DisableRegion", { RegionName })
  },
} satisfies Readonly<Record<Done<"account">, (cloud: TestCloud) => Promise<void>>>
