import assert from "node:assert/strict"
import type { Check } from "./checks.ts"
import type { Done, TestCloud } from "./cloud.ts"
import { bucketOf, refused } from "./s3-buckets.ts"

export type Tagging = Extract<Done<"s3">, `${string}Tagging`>

const [a, b] = [
  { Key: "a", Value: "1" },
  { Key: "ü b", Value: "" },
]
const nowhere = { Bucket: "nobody-has-it" }
const tagSet = (count: number) => Array.from({ length: count }, (_, index) => ({ Key: `k${index}`, Value: "" }))

/** A bucket with one object, "k". */
async function filled(cloud: TestCloud, more: object = {}): Promise<{ Bucket: string; Key: string }> {
  const place = { Bucket: await bucketOf(cloud), Key: "k" }
  await cloud.s3("PutObject", { ...place, Body: "hello", ...more })
  return place
}

const tagsOf = async ({ s3 }: TestCloud, place: { Bucket: string; Key: string }) =>
  (await s3("GetObjectTagging", place)).TagSet

export const s3Tags: Readonly<Record<Tagging, Check>> = {
  async PutBucketTagging(cloud) {
    const { s3, ec2 } = cloud
    const Bucket = await bucketOf(cloud)
    const put = (TagSet: { Key: string; Value: string }[]) => s3("PutBucketTagging", { Bucket, Tagging: { TagSet } })
    await put([a])
    await put([b])
    assert.deepEqual((await s3("GetBucketTagging", { Bucket })).TagSet, [b])
    // They are none of EC2's.
    const { Tags } = await ec2("DescribeTags", { Filters: [{ Name: "key", Values: [b.Key] }] })
    assert.deepEqual(Tags, [])
    const refuses = (TagSet: object[]) => refused(cloud, "PutBucketTagging", { Bucket, Tagging: { TagSet } })
    assert.equal(await refuses([a, { ...b, Key: "a" }]), "400 InvalidTag")
    assert.equal(await refuses([{ Key: "aws:a", Value: "" }]), "400 InvalidTag")
    assert.equal(await refuses([{ Key: "a", Value: "x".repeat(257) }]), "400 InvalidTag")
    assert.equal(await refuses([{ Key: "a<b", Value: "" }]), "400 InvalidTag")
    assert.equal(await refuses(tagSet(51)), "400 BadRequest")
    assert.equal(await refused(cloud, "PutBucketTagging", { ...nowhere, Tagging: { TagSet: [a] } }), "404 NoSuchBucket")
    assert.deepEqual((await s3("GetBucketTagging", { Bucket })).TagSet, [b])
  },

  async GetBucketTagging(cloud) {
    const Bucket = await bucketOf(cloud)
    assert.equal(await refused(cloud, "GetBucketTagging", { Bucket }), "404 NoSuchTagSet")
    await cloud.s3("PutBucketTagging", { Bucket, Tagging: { TagSet: [a, b] } })
    assert.deepEqual((await cloud.s3("GetBucketTagging", { Bucket })).TagSet, [a, b])
  },

  async DeleteBucketTagging(cloud) {
    const Bucket = await bucketOf(cloud)
    await cloud.s3("PutBucketTagging", { Bucket, Tagging: { TagSet: [a] } })
    await cloud.s3("DeleteBucketTagging", { Bucket })
    assert.equal(await refused(cloud, "GetBucketTagging", { Bucket }), "404 NoSuchTagSet")
    assert.equal(await refused(cloud, "DeleteBucketTagging", nowhere), "404 NoSuchBucket")
  },

  async PutObjectTagging(cloud) {
    const { s3 } = cloud
    const place = await filled(cloud)
    const before = await s3("HeadObject", place)
    assert.equal(before.TagCount, undefined)
    await s3("PutObjectTagging", { ...place, Tagging: { TagSet: [a, b] } })
    assert.deepEqual(await tagsOf(cloud, place), [a, b])
    // Tags alone were changed.
    const { TagCount, ...after } = await s3("HeadObject", place)
    assert.equal(TagCount, 2)
    assert.deepEqual(after, before)
    const put = (more: object) => refused(cloud, "PutObjectTagging", { ...place, Tagging: { TagSet: [a] }, ...more })
    assert.equal(await put({ Tagging: { TagSet: tagSet(11) } }), "400 BadRequest")
    assert.equal(await put({ Key: "other" }), "404 NoSuchKey")
    assert.equal(await put({ VersionId: "1" }), "501 NotImplemented")
    assert.deepEqual(await tagsOf(cloud, place), [a, b])
  },

  async GetObjectTagging(cloud) {
    const { s3 } = cloud
    const place = await filled(cloud, { Tagging: "a=1&%C3%BC+b=" })
    assert.deepEqual(await tagsOf(cloud, place), [a, b])
    // A copy takes them along unless told others; an object that is put anew has none.
    const CopySource = `${place.Bucket}/k`
    const [copy, other] = [
      { ...place, Key: "copy" },
      { ...place, Key: "other" },
    ]
    await s3("CopyObject", { ...copy, CopySource })
    await s3("CopyObject", { ...other, CopySource, TaggingDirective: "REPLACE", Tagging: "c=d" })
    assert.deepEqual(await tagsOf(cloud, copy), [a, b])
    assert.deepEqual(await tagsOf(cloud, other), [{ Key: "c", Value: "d" }])
    await s3("PutObject", { ...copy, Body: "again" })
    assert.deepEqual(await tagsOf(cloud, copy), [])
    const { UploadId } = await s3("CreateMultipartUpload", { ...copy, Tagging: "a=1" })
    const { ETag } = await s3("UploadPart", { ...copy, UploadId, PartNumber: 1, Body: "part" })
    await s3("CompleteMultipartUpload", { ...copy, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } })
    assert.deepEqual(await tagsOf(cloud, copy), [a])
    assert.equal(await refused(cloud, "GetObjectTagging", { ...place, Key: "none" }), "404 NoSuchKey")
    assert.equal(await refused(cloud, "PutObject", { ...place, Body: "", Tagging: "a=1&a=2" }), "400 InvalidTag")
  },

  async DeleteObjectTagging(cloud) {
    const place = await filled(cloud, { Tagging: "a=1" })
    await cloud.s3("DeleteObjectTagging", place)
    assert.deepEqual(await tagsOf(cloud, place), [])
    assert.equal(await refused(cloud, "DeleteObjectTagging", { ...place, Key: "none" }), "404 NoSuchKey")
  },
}
