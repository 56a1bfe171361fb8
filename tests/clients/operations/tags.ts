import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

async function subject({ ec2, name }: TestCloud): Promise<string> {
  return (await ec2("CreateSecurityGroup", { GroupName: name(), Description: "to be tagged" })).GroupId ?? ""
}

const shown = async ({ ec2 }: TestCloud, id: string) =>
  (await ec2("DescribeTags", { Filters: [{ Name: "resource-id", Values: [id] }] })).Tags?.map((tag) => [
    tag.Key,
    tag.Value,
    tag.ResourceType,
  ])

export const tags = {
  async CreateTags(cloud) {
    const { ec2, refusal } = cloud
    const id = await subject(cloud)
    await ec2("CreateTags", {
      Resources: [id],
      Tags: [
        { Key: "a", Value: "1" },
        { Key: "b", Value: "<&>\u00fc" },
      ],
    })
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "a", Value: "2" }] })
    const expected = [
      ["a", "2", "security-group"],
      ["b", "<&>\u00fc", "security-group"],
    ]
    assert.deepEqual((await shown(cloud, id))?.toSorted(), expected)
    const Tags = [{ Key: "c", Value: "3" }]
    // One of the two is not there: neither is tagged.
    assert.equal(await refusal("CreateTags", { Resources: [id, "vpc-00000000"], Tags }), "400 InvalidVpcID.NotFound")
    assert.equal(await refusal("CreateTags", { Resources: [id], Tags, DryRun: true }), "412 DryRunOperation")
    const reserved = [{ Key: "aws:c", Value: "3" }]
    assert.equal(await refusal("CreateTags", { Resources: [id], Tags: reserved }), "400 InvalidParameterValue")
    const many = Array.from({ length: 49 }, (_, index) => ({ Key: `many-${index}`, Value: "" }))
    assert.equal(await refusal("CreateTags", { Resources: [id], Tags: many }), "400 TagLimitExceeded")
    assert.equal(await refusal("CreateTags", { Resources: ["nothing"], Tags }), "400 InvalidID")
    assert.deepEqual((await shown(cloud, id))?.toSorted(), expected)
  },

  async DeleteTags(cloud) {
    const { ec2, refusal } = cloud
    const id = await subject(cloud)
    const Tags = ["a", "b", "c"].map((Key) => ({ Key, Value: "1" }))
    await ec2("CreateTags", { Resources: [id], Tags })
    // With another value the tag stays.
    await ec2("DeleteTags", {
      Resources: [id],
      Tags: [
        { Key: "a", Value: "2" },
        { Key: "b", Value: "1" },
      ],
    })
    assert.deepEqual((await shown(cloud, id))?.map(([key]) => key).toSorted(), ["a", "c"])
    await ec2("DeleteTags", { Resources: [id] })
    assert.deepEqual(await shown(cloud, id), [])
    assert.equal(await refusal("DeleteTags", { Resources: ["vpc-00000000"] }), "400 InvalidVpcID.NotFound")
  },

  async DescribeTags(cloud) {
    const { ec2, refusal } = cloud
    const id = await subject(cloud)
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "colour", Value: id }] })
    const Filters = [
      { Name: "resource-type", Values: ["security-group"] },
      { Name: "key", Values: ["colour"] },
      { Name: "value", Values: [`${id.slice(0, 12)}*`] },
    ]
    assert.deepEqual((await ec2("DescribeTags", { Filters })).Tags, [
      { Key: "colour", Value: id, ResourceId: id, ResourceType: "security-group" },
    ])
    assert.equal(
      await refusal("DescribeTags", { Filters: [{ Name: "colour", Values: ["x"] }] }),
      "400 InvalidParameterValue",
    )
  },
} satisfies Checks
