import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { Tag } from "@aws-sdk/client-ec2"
import { openRig, type Rig } from "#tests/ec2/rig.ts"

async function open(t: TestContext) {
  const rig = await openRig(t)
  const group = await rig.ec2("CreateSecurityGroup", { GroupName: "web", Description: "d" })
  const key = await rig.ec2("CreateKeyPair", { KeyName: "k", KeyType: "ed25519" })
  return { rig, group: group.GroupId ?? "", key: key.KeyPairId ?? "" }
}

const tagsOf = async (rig: Rig, id: string) =>
  (await rig.ec2("DescribeTags", { Filters: [{ Name: "resource-id", Values: [id] }] })).Tags?.map(
    (tag) => `${tag.Key}=${tag.Value}`,
  )

const many = (count: number, prefix = "k"): Tag[] =>
  Array.from({ length: count }, (_, i) => ({ Key: `${prefix}${i}`, Value: "" }))

test("tags stand on every kind of resource of one request, and in its description", async (t) => {
  const { rig, group, key } = await open(t)
  const { Vpcs } = await rig.ec2("DescribeVpcs", {})
  const { Subnets } = await rig.ec2("DescribeSubnets", {})
  const ids = [group, key, Vpcs?.[0]?.VpcId ?? "", Subnets?.[0]?.SubnetId ?? ""]
  await rig.ec2("CreateTags", { Resources: ids, Tags: [{ Key: "Name", Value: "a b" }] })
  await rig.ec2("CreateTags", {
    Resources: [group],
    Tags: [
      { Key: "Name", Value: "c" },
      { Key: "x", Value: "" },
    ],
  })
  for (const id of ids) assert.deepEqual(await tagsOf(rig, id), id === group ? ["Name=c", "x="] : ["Name=a b"])
  const { SecurityGroups } = await rig.ec2("DescribeSecurityGroups", { Filters: [{ Name: "tag:Name", Values: ["c"] }] })
  assert.deepEqual(SecurityGroups?.[0]?.Tags, [
    { Key: "Name", Value: "c" },
    { Key: "x", Value: "" },
  ])
  assert.deepEqual((await rig.ec2("DescribeVpcs", {})).Vpcs?.[0]?.Tags, [{ Key: "Name", Value: "a b" }])
})

test("DescribeTags filters by key, value, resource, type and pages", async (t) => {
  const { rig, group, key } = await open(t)
  await rig.ec2("CreateTags", { Resources: [group, key], Tags: [{ Key: "team", Value: "a" }] })
  await rig.ec2("CreateTags", { Resources: [key], Tags: [{ Key: "env", Value: "a" }, ...many(9)] })
  const found = async (Name: string, value: string) =>
    (await rig.ec2("DescribeTags", { Filters: [{ Name, Values: [value] }] })).Tags?.length
  assert.equal(await found("key", "team"), 2)
  assert.equal(await found("value", "a"), 3)
  assert.equal(await found("resource-id", group), 1)
  assert.equal(await found("resource-type", "key-pair"), 11)
  assert.equal(await found("tag:team", "a"), 2)
  assert.equal(await found("key", "k*"), 9)
  const [first] =
    (await rig.ec2("DescribeTags", { Filters: [{ Name: "resource-type", Values: ["security-group"] }] })).Tags ?? []
  assert.deepEqual(first, { Key: "team", Value: "a", ResourceId: group, ResourceType: "security-group" })
  const page = await rig.ec2("DescribeTags", { MaxResults: 8 })
  const rest = await rig.ec2("DescribeTags", { MaxResults: 8, NextToken: page.NextToken })
  assert.deepEqual([page.Tags?.length, rest.Tags?.length, rest.NextToken], [8, 4, undefined])
  assert.match(await rig.fault("DescribeTags", { MaxResults: 4 }), /^InvalidParameterValue/)
})

test("tags are deleted by key, by key and value, or all of them", async (t) => {
  const { rig, group } = await open(t)
  const Resources = [group]
  await rig.ec2("CreateTags", {
    Resources,
    Tags: [
      { Key: "a", Value: "1" },
      { Key: "b", Value: "2" },
      { Key: "c", Value: "" },
      { Key: "d", Value: "4" },
    ],
  })
  await rig.ec2("DeleteTags", { Resources, Tags: [{ Key: "a" }, { Key: "b", Value: "other" }, { Key: "zzz" }] })
  assert.deepEqual(await tagsOf(rig, group), ["b=2", "c=", "d=4"])
  await rig.ec2("DeleteTags", {
    Resources,
    Tags: [
      { Key: "b", Value: "2" },
      { Key: "d", Value: "" },
    ],
  })
  assert.deepEqual(await tagsOf(rig, group), ["c=", "d=4"])
  await rig.ec2("DeleteTags", { Resources })
  assert.deepEqual(await tagsOf(rig, group), [])
})

test("a rule of a group is tagged by its own id, also together with its group", async (t) => {
  const { rig, group } = await open(t)
  const { SecurityGroupRules } = await rig.ec2("DescribeSecurityGroupRules", {
    Filters: [{ Name: "group-id", Values: [group] }],
  })
  const rule = SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? ""
  await rig.ec2("CreateTags", { Resources: [rule, group], Tags: [{ Key: "a", Value: "1" }] })
  const tagged = await rig.ec2("DescribeSecurityGroupRules", { Filters: [{ Name: "tag:a", Values: ["1"] }] })
  assert.deepEqual(
    tagged.SecurityGroupRules?.map((one) => [one.SecurityGroupRuleId, one.Tags]),
    [[rule, [{ Key: "a", Value: "1" }]]],
  )
  assert.deepEqual(await tagsOf(rig, group), ["a=1"])
  const { Tags } = await rig.ec2("DescribeTags", {
    Filters: [{ Name: "resource-type", Values: ["security-group-rule"] }],
  })
  assert.equal(Tags?.[0]?.ResourceId, rule)
  await rig.ec2("DeleteTags", { Resources: [rule] })
  assert.deepEqual([await tagsOf(rig, rule), await tagsOf(rig, group)], [[], ["a=1"]])
  assert.match(
    await rig.fault("CreateTags", { Resources: ["sgr-00000000"], Tags: many(1) }),
    /^InvalidSecurityGroupRuleId.NotFound/,
  )
})

test("ids that are unknown or of no kind are refused, and then nothing is tagged", async (t) => {
  const { rig, group } = await open(t)
  const refusals: readonly (readonly [string, RegExp])[] = [
    ["banana", /^InvalidID: The ID 'banana' is not valid$/],
    ["zz-00000000", /^InvalidID: The ID 'zz-00000000' is not valid$/],
    ["i-00000000000000000", /^InvalidInstanceID.NotFound/],
    ["i-xyz", /^InvalidInstanceID.Malformed/],
    ["vol-00000000", /^InvalidVolume.NotFound/],
    ["subnet-00000000", /^InvalidSubnetID.NotFound/],
    ["eni-00000000", /^InvalidNetworkInterfaceID.NotFound/],
    ["eipalloc-00000000", /^InvalidAllocationID.NotFound/],
    ["ami-00000000", /^InvalidAMIID.NotFound/],
  ]
  for (const [id, expected] of refusals)
    assert.match(await rig.fault("CreateTags", { Resources: [group, id], Tags: many(1) }), expected)
  assert.match(await rig.fault("CreateTags", { Resources: [], Tags: many(1) }), /^MissingParameter: .*resourceIdSet/)
  assert.match(await rig.fault("CreateTags", { Resources: [group], Tags: [] }), /^MissingParameter: .*tagSet/)
  assert.match(await rig.fault("CreateTags", { Resources: [group], Tags: many(1), DryRun: true }), /^DryRunOperation/)
  assert.deepEqual(await tagsOf(rig, group), [])
})

test("tags that cannot be are refused", async (t) => {
  const { rig, group } = await open(t)
  const Resources = [group]
  const bad: readonly (readonly Tag[])[] = [
    [{ Value: "x" }],
    [{ Key: "", Value: "x" }],
    [{ Key: "k".repeat(129), Value: "" }],
    [{ Key: "k", Value: "v".repeat(257) }],
    [{ Key: "k" }],
    [{ Key: "aws:x", Value: "" }],
    [{ Key: "AWS:x", Value: "" }],
    [{ Key: "k\u0000", Value: "" }],
    [{ Key: "k", Value: "\ud800" }],
    [
      { Key: "k", Value: "1" },
      { Key: "k", Value: "2" },
    ],
  ]
  for (const Tags of bad)
    assert.match(
      await rig.fault("CreateTags", { Resources, Tags: [...Tags] }),
      /^InvalidParameterValue/,
      JSON.stringify(Tags),
    )
  assert.match(await rig.fault("DeleteTags", { Resources, Tags: [{ Key: "aws:x" }] }), /reserved for internal use/)
  const emoji = "\u{1f980}"
  await rig.ec2("CreateTags", { Resources, Tags: [{ Key: emoji.repeat(128), Value: emoji.repeat(256) }] })
})

test("fifty tags, not one more", async (t) => {
  const { rig, group } = await open(t)
  const Resources = [group]
  assert.match(await rig.fault("CreateTags", { Resources, Tags: many(51) }), /^TagLimitExceeded/)
  await rig.ec2("CreateTags", { Resources, Tags: many(50) })
  assert.match(await rig.fault("CreateTags", { Resources, Tags: many(1, "more") }), /^TagLimitExceeded/)
  await rig.ec2("CreateTags", { Resources, Tags: [{ Key: "k1", Value: "changed" }] })
  assert.equal((await tagsOf(rig, group))?.length, 50)
})

test("tag specifications are refused for another type, twice, empty or with bad tags", async (t) => {
  const { rig } = await open(t)
  const type = "security-group" as const
  const make = (...TagSpecifications: object[]) =>
    rig.fault("CreateSecurityGroup", { GroupName: "other", Description: "d", TagSpecifications })
  assert.equal(
    await make({ ResourceType: "instance", Tags: many(1) }),
    "InvalidParameterValue: 'instance' is not a valid taggable resource type for this operation.",
  )
  for (const specifications of [
    [{ Tags: many(1) }],
    [{ ResourceType: type }],
    [
      { ResourceType: type, Tags: many(1) },
      { ResourceType: type, Tags: many(1) },
    ],
    [{ ResourceType: type, Tags: [{ Key: "aws:a", Value: "" }] }],
  ])
    assert.match(await make(...specifications), /^InvalidParameterValue/)
  assert.match(await make({ ResourceType: type, Tags: many(51) }), /^TagLimitExceeded/)
})

test("rules of one group are added and tagged by twenty callers at once", async (t) => {
  const { rig, group } = await open(t)
  const ids = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const IpPermissions = [{ IpProtocol: "tcp", FromPort: i, ToPort: i, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }]
      const made = await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId: group, IpPermissions })
      const id = made.SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? ""
      await rig.ec2("CreateTags", { Resources: [id], Tags: [{ Key: "number", Value: String(i) }] })
      return id
    }),
  )
  for (const [i, id] of ids.entries()) assert.deepEqual(await tagsOf(rig, id), [`number=${i}`])
})
