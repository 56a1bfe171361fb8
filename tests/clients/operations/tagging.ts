import assert from "node:assert/strict"
import type { Check } from "./checks.ts"
import type { Done, TestCloud } from "./cloud.ts"

type Operation = Done<"tagging">
const refused = ({ refusalOf }: TestCloud, operation: Operation, input: object) =>
  refusalOf("tagging", operation, input)

/** A group with these tags: its ARN. */
async function tagged(cloud: TestCloud, tags: Readonly<Record<string, string>>): Promise<string> {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
  const { GroupId = "" } = await cloud.ec2("CreateSecurityGroup", {
    GroupName: cloud.name(),
    Description: "to be found by its tags",
    TagSpecifications: [{ ResourceType: "security-group", Tags }],
  })
  return `arn:aws:ec2:us-east-1:${cloud.daemon.credentials.account}:security-group/${GroupId}`
}

async function found({ tagging }: TestCloud, input: object) {
  const { ResourceTagMappingList = [] } = await tagging("GetResources", input)
  return ResourceTagMappingList.map(({ ResourceARN = "" }) => ResourceARN)
}

export const tagging = {
  async GetResources(cloud) {
    const { tagging } = cloud
    const team = cloud.name()
    const both = await tagged(cloud, { [team]: "red", stage: "test" })
    const other = await tagged(cloud, { [team]: "blue" })
    const TagFilters = [{ Key: team }]
    const { ResourceTagMappingList: [first] = [] } = await tagging("GetResources", { TagFilters })
    assert.deepEqual(first, {
      ResourceARN: both,
      Tags: [
        { Key: team, Value: "red" },
        { Key: "stage", Value: "test" },
      ],
    })
    assert.deepEqual(await found(cloud, { TagFilters }), [both, other])
    assert.deepEqual(await found(cloud, { TagFilters: [{ Key: team, Values: ["blue", "green"] }] }), [other])
    assert.deepEqual(await found(cloud, { TagFilters: [{ Key: team }, { Key: "stage", Values: ["test"] }] }), [both])
    assert.deepEqual(await found(cloud, { TagFilters, ResourceTypeFilters: ["ec2:instance", "s3"] }), [])
    assert.deepEqual(await found(cloud, { TagFilters, ResourceTypeFilters: ["ec2"] }), [both, other])
    assert.deepEqual(await found(cloud, { ResourceARNList: [other] }), [other])
    const { PaginationToken = "", ...page } = await tagging("GetResources", { TagFilters, ResourcesPerPage: 1 })
    assert.deepEqual(
      page.ResourceTagMappingList?.map(({ ResourceARN }) => ResourceARN),
      [both],
    )
    const rest = await tagging("GetResources", { TagFilters, ResourcesPerPage: 1, PaginationToken })
    assert.deepEqual(
      rest.ResourceTagMappingList?.map(({ ResourceARN }) => ResourceARN),
      [other],
    )
    assert.equal(rest.PaginationToken, "")
    const invalid = "400 InvalidParameterException"
    assert.equal(await refused(cloud, "GetResources", { ResourcesPerPage: 101 }), invalid)
    assert.equal(await refused(cloud, "GetResources", { ResourceARNList: ["arn"] }), invalid)
    assert.equal(await refused(cloud, "GetResources", { PaginationToken }), "400 PaginationTokenExpiredException")
  },

  async GetTagKeys(cloud) {
    const key = cloud.name()
    await tagged(cloud, { [key]: "1" })
    const again = await tagged(cloud, { [key]: "2" })
    const keys: string[] = []
    let PaginationToken: string | undefined
    do {
      const page = await cloud.tagging("GetTagKeys", PaginationToken ? { PaginationToken } : {})
      keys.push(...(page.TagKeys ?? []))
      PaginationToken = page.PaginationToken
    } while (PaginationToken)
    assert.equal(keys.filter((each) => each === key).length, 1)
    assert.equal(new Set(keys).size, keys.length)
    await cloud.tagging("UntagResources", { ResourceARNList: [again], TagKeys: [key] })
    assert.equal(await refused(cloud, "GetTagKeys", { PaginationToken: "no" }), "400 PaginationTokenExpiredException")
  },

  async GetTagValues(cloud) {
    const Key = cloud.name()
    for (const value of ["red", "blue", "red"]) await tagged(cloud, { [Key]: value })
    assert.deepEqual(await cloud.tagging("GetTagValues", { Key }), { TagValues: ["red", "blue"], PaginationToken: "" })
    assert.equal(await refused(cloud, "GetTagValues", { Key: "" }), "400 InvalidParameterException")
    assert.equal(await refused(cloud, "GetTagValues", {}), "400 InvalidParameterException")
  },

  async TagResources(cloud) {
    const { tagging } = cloud
    const key = cloud.name()
    const arn = await tagged(cloud, { a: "1" })
    const gone = arn.replace(/sg-.*/, "sg-0123456789abcdef0")
    const { FailedResourcesMap } = await tagging("TagResources", {
      ResourceARNList: [gone, arn],
      Tags: { [key]: "new" },
    })
    assert.deepEqual(Object.keys(FailedResourcesMap ?? {}), [gone])
    assert.equal(FailedResourcesMap?.[gone]?.ErrorCode, "InvalidParameterException")
    assert.deepEqual(await found(cloud, { TagFilters: [{ Key: key, Values: ["new"] }] }), [arn])
    const refuses = async (input: object) =>
      assert.equal(await refused(cloud, "TagResources", input), "400 InvalidParameterException")
    await refuses({ ResourceARNList: [arn], Tags: { "aws:x": "1" } })
    await refuses({ ResourceARNList: [], Tags: { x: "1" } })
    await refuses({ ResourceARNList: [arn], Tags: {} })
  },

  async UntagResources(cloud) {
    const key = cloud.name()
    const arn = await tagged(cloud, { [key]: "1", stays: "2" })
    await cloud.tagging("UntagResources", { ResourceARNList: [arn], TagKeys: [key, "was-never-there"] })
    assert.deepEqual(await found(cloud, { TagFilters: [{ Key: key }] }), [])
    const wrong = { ResourceARNList: [arn], TagKeys: [] }
    assert.equal(await refused(cloud, "UntagResources", wrong), "400 InvalidParameterException")
  },
} satisfies Readonly<Record<Operation, Check>>
