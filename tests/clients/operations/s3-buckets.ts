import assert from "node:assert/strict"
import type { Done, TestCloud } from "./cloud.ts"
import type { Check } from "./checks.ts"

type Operation = Done<"s3">
export const refused = ({ refusalOf }: TestCloud, operation: Operation, input: object) =>
  refusalOf("s3", operation, input)

/** A bucket of its own. */
export async function bucketOf({ s3, name }: TestCloud): Promise<string> {
  const Bucket = `bucket-${name()}`
  await s3("CreateBucket", { Bucket })
  return Bucket
}

type Name = "CreateBucket" | "DeleteBucket" | "GetBucketLocation" | "HeadBucket" | "ListBuckets"

export const s3Buckets: Readonly<Record<Name, Check>> = {
  async CreateBucket(cloud) {
    const Bucket = await bucketOf(cloud)
    assert.deepEqual(await cloud.s3("CreateBucket", { Bucket }), { Location: `/${Bucket}` })
    for (const bad of ["Big", "a", "a..b", "10.0.0.1", "xn--a", "-a-"])
      assert.equal(await refused(cloud, "CreateBucket", { Bucket: bad }), "400 InvalidBucketName", bad)
    const other = { Bucket: "elsewhere", CreateBucketConfiguration: { LocationConstraint: "eu-west-1" } }
    assert.equal(await refused(cloud, "CreateBucket", other), "400 IllegalLocationConstraintException")
    assert.equal(await refused(cloud, "CreateBucket", { Bucket: "public", ACL: "public-read" }), "501 NotImplemented")
  },

  async HeadBucket(cloud) {
    const Bucket = await bucketOf(cloud)
    assert.equal((await cloud.s3("HeadBucket", { Bucket })).BucketRegion, "us-east-1")
    assert.equal(await refused(cloud, "HeadBucket", { Bucket: "nobody-has-it" }), "404 NotFound")
    assert.match(await refused(cloud, "HeadBucket", { Bucket, ExpectedBucketOwner: "210987654321" }), /^403 /)
  },

  async GetBucketLocation(cloud) {
    const Bucket = await bucketOf(cloud)
    assert.deepEqual(await cloud.s3("GetBucketLocation", { Bucket }), {})
    assert.equal(await refused(cloud, "GetBucketLocation", { Bucket: "nobody-has-it" }), "404 NoSuchBucket")
  },

  async ListBuckets(cloud) {
    const made = [await bucketOf(cloud), await bucketOf(cloud)].toSorted((a, b) => (a < b ? -1 : 1))
    const { Buckets = [], Owner } = await cloud.s3("ListBuckets", {})
    assert.deepEqual(
      Buckets.map(({ Name }) => Name).filter((name) => made.includes(name ?? "")),
      made,
    )
    assert.equal(Owner?.ID, cloud.daemon.credentials.account)
    const first = await cloud.s3("ListBuckets", { MaxBuckets: 1 })
    assert.equal(first.Buckets?.length, 1)
    assert.ok(first.ContinuationToken)
    const { Buckets: [one] = [] } = await cloud.s3("ListBuckets", { Prefix: made[1] ?? "" })
    assert.equal(one?.Name, made[1])
    assert.equal(await refused(cloud, "ListBuckets", { MaxBuckets: 0 }), "400 InvalidArgument")
  },

  async DeleteBucket(cloud) {
    const Bucket = await bucketOf(cloud)
    await cloud.s3("PutObject", { Bucket, Key: "k", Body: "x" })
    await cloud.s3("CreateMultipartUpload", { Bucket, Key: "left open" })
    assert.equal(await refused(cloud, "DeleteBucket", { Bucket }), "409 BucketNotEmpty")
    await cloud.s3("DeleteObject", { Bucket, Key: "k" })
    await cloud.s3("DeleteBucket", { Bucket })
    assert.equal(await refused(cloud, "DeleteBucket", { Bucket }), "404 NoSuchBucket")
    await cloud.s3("CreateBucket", { Bucket })
    assert.equal((await cloud.s3("ListMultipartUploads", { Bucket })).Uploads, undefined)
  },
}
