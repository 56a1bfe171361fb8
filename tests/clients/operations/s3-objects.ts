import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import type { Check } from "./checks.ts"
import type { Done, TestCloud } from "./cloud.ts"
import { bucketOf, refused } from "./s3-buckets.ts"
import type { Tagging } from "./s3-tags.ts"

type Name = Exclude<
  Done<"s3">,
  "CreateBucket" | "DeleteBucket" | "GetBucketLocation" | "HeadBucket" | "ListBuckets" | Tagging
>

const md5 = (...parts: readonly Uint8Array[]) =>
  parts.reduce((sum, part) => sum.update(part), createHash("md5")).digest("hex")
const textOf = async (body: unknown) => (body as { transformToString(): Promise<string> }).transformToString()
const keysOf = (contents: readonly { Key?: string | undefined }[] | undefined) => contents?.map(({ Key }) => Key) ?? []

async function filled(cloud: TestCloud, ...keys: readonly string[]): Promise<string> {
  const Bucket = await bucketOf(cloud)
  for (const Key of keys) await cloud.s3("PutObject", { Bucket, Key, Body: `of ${Key}` })
  return Bucket
}

/** 5 MiB, the smallest part that is not the last. */
const large = Buffer.alloc(5 * 2 ** 20, "abcdefgh")

async function upload(cloud: TestCloud, Bucket: string, Key: string) {
  const { UploadId } = await cloud.s3("CreateMultipartUpload", { Bucket, Key, ContentType: "text/parts" })
  const place = { Bucket, Key, UploadId }
  const part = async (PartNumber: number, Body: Buffer) => {
    const { ETag } = await cloud.s3("UploadPart", { ...place, PartNumber, Body })
    return { PartNumber, ETag }
  }
  return { place, part }
}

export const s3Objects: Readonly<Record<Name, Check>> = {
  async PutObject(cloud) {
    const { s3 } = cloud
    const Bucket = await bucketOf(cloud)
    const answer = await s3("PutObject", { Bucket, Key: "a b/ü+&.txt", Body: "hello", ContentType: "text/plain" })
    assert.equal(answer.ETag, `"${md5(Buffer.from("hello"))}"`)
    // CRC-32 of "hello".
    assert.equal(answer.ChecksumCRC32, "NhCmhg==")
    assert.equal(await textOf((await s3("GetObject", { Bucket, Key: "a b/ü+&.txt" })).Body), "hello")
    for (const [ChecksumAlgorithm, expected] of [
      ["CRC32C", "mnG7TA=="],
      ["SHA1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="],
      ["SHA256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="],
    ] as const) {
      const said = await s3("PutObject", { Bucket, Key: "sum", Body: "hello", ChecksumAlgorithm })
      assert.equal(said[`Checksum${ChecksumAlgorithm}`], expected)
    }
    const put = (more: object) => refused(cloud, "PutObject", { Bucket, Key: "k", Body: "x", ...more })
    assert.equal(await put({ ChecksumCRC32: "AAAAAA==" }), "400 BadDigest")
    assert.equal(await put({ ContentMD5: Buffer.alloc(16).toString("base64") }), "400 BadDigest")
    assert.equal(await put({ Bucket: "nobody-has-it" }), "404 NoSuchBucket")
    assert.equal(await put({ Key: "k".repeat(1025) }), "400 KeyTooLongError")
    assert.equal(await put({ ServerSideEncryption: "aws:kms" }), "501 NotImplemented")
    assert.match(await refused(cloud, "HeadObject", { Bucket, Key: "k" }), /^404 /)
    await s3("PutObject", { Bucket, Key: "once", Body: "1", IfNoneMatch: "*" })
    assert.equal(await put({ Key: "once", IfNoneMatch: "*" }), "412 PreconditionFailed")
    assert.equal(await put({ Key: "once", IfMatch: '"other"' }), "412 PreconditionFailed")
  },

  async GetObject(cloud) {
    const { s3 } = cloud
    const Bucket = await bucketOf(cloud)
    const Metadata = { colour: "red" }
    const { ETag } = await s3("PutObject", { Bucket, Key: "k", Body: "0123456789", Metadata, CacheControl: "no-cache" })
    const whole = await s3("GetObject", { Bucket, Key: "k", ChecksumMode: "ENABLED" })
    assert.deepEqual([whole.ContentLength, whole.Metadata, whole.CacheControl], [10, Metadata, "no-cache"])
    assert.ok(whole.ChecksumCRC32 && whole.LastModified instanceof Date)
    assert.equal(await textOf(whole.Body), "0123456789")
    for (const [Range, text, range] of [
      ["bytes=2-4", "234", "bytes 2-4/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
      ["bytes=-3", "789", "bytes 7-9/10"],
      ["bytes=5-99", "56789", "bytes 5-9/10"],
    ] as const) {
      const part = await s3("GetObject", { Bucket, Key: "k", Range })
      assert.deepEqual([part.ContentRange, await textOf(part.Body)], [range, text])
    }
    const as = await s3("GetObject", { Bucket, Key: "k", ResponseContentType: "text/other" })
    assert.equal(as.ContentType, "text/other")
    await textOf(as.Body)
    const get = (more: object) => refused(cloud, "GetObject", { Bucket, Key: "k", ...more })
    assert.equal(await get({ Range: "bytes=10-" }), "416 InvalidRange")
    assert.equal(await get({ Key: "other" }), "404 NoSuchKey")
    assert.match(await get({ IfNoneMatch: ETag }), /^304 /)
    assert.match(await get({ IfModifiedSince: new Date(Date.now() + 60_000) }), /^304 /)
    assert.equal(await get({ IfMatch: '"other"' }), "412 PreconditionFailed")
    assert.equal(await get({ IfUnmodifiedSince: new Date(0) }), "412 PreconditionFailed")
    assert.equal(await get({ VersionId: "1" }), "501 NotImplemented")
  },

  async HeadObject(cloud) {
    const Bucket = await filled(cloud, "k")
    const head = await cloud.s3("HeadObject", { Bucket, Key: "k" })
    assert.deepEqual([head.ContentLength, head.ETag], [4, `"${md5(Buffer.from("of k"))}"`])
    assert.match(await refused(cloud, "HeadObject", { Bucket, Key: "other" }), /^404 /)
  },

  async CopyObject(cloud) {
    const { s3 } = cloud
    const Bucket = await filled(cloud, "from ü")
    const CopySource = `${Bucket}/${encodeURIComponent("from ü")}`
    const { CopyObjectResult } = await s3("CopyObject", { Bucket, Key: "to", CopySource })
    assert.equal(CopyObjectResult?.ETag, `"${md5(Buffer.from("of from ü"))}"`)
    await s3("DeleteObject", { Bucket, Key: "from ü" })
    assert.equal(await textOf((await s3("GetObject", { Bucket, Key: "to" })).Body), "of from ü")
    const onto = { Bucket, Key: "to", CopySource: `${Bucket}/to` }
    assert.equal(await refused(cloud, "CopyObject", onto), "400 InvalidRequest")
    await s3("CopyObject", { ...onto, MetadataDirective: "REPLACE", Metadata: { a: "1" } })
    assert.deepEqual((await s3("HeadObject", { Bucket, Key: "to" })).Metadata, { a: "1" })
    assert.equal(await refused(cloud, "CopyObject", { Bucket, Key: "x", CopySource }), "404 NoSuchKey")
    const changed = { ...onto, Key: "x", CopySourceIfMatch: '"other"' }
    assert.equal(await refused(cloud, "CopyObject", changed), "412 PreconditionFailed")
  },

  async DeleteObject(cloud) {
    const Bucket = await filled(cloud, "k")
    await cloud.s3("DeleteObject", { Bucket, Key: "k" })
    await cloud.s3("DeleteObject", { Bucket, Key: "k" })
    assert.equal(await refused(cloud, "GetObject", { Bucket, Key: "k" }), "404 NoSuchKey")
    assert.equal(await refused(cloud, "DeleteObject", { Bucket: "nobody-has-it", Key: "k" }), "404 NoSuchBucket")
  },

  async DeleteObjects(cloud) {
    const Bucket = await filled(cloud, "a", "b&", "c")
    const Objects = [{ Key: "a" }, { Key: "b&" }, { Key: "never there" }]
    const { Deleted } = await cloud.s3("DeleteObjects", { Bucket, Delete: { Objects } })
    assert.deepEqual(keysOf(Deleted), ["a", "b&", "never there"])
    assert.deepEqual(keysOf((await cloud.s3("ListObjectsV2", { Bucket })).Contents), ["c"])
    const wrong = { Bucket, Delete: { Objects: [] } }
    assert.equal(await refused(cloud, "DeleteObjects", wrong), "400 MalformedXML")
  },

  async ListObjects(cloud) {
    const Bucket = await filled(cloud, "a", "b/1", "b/2", "c")
    const folded = await cloud.s3("ListObjects", { Bucket, Delimiter: "/", MaxKeys: 2 })
    assert.deepEqual(
      [keysOf(folded.Contents), folded.CommonPrefixes, folded.NextMarker],
      [["a"], [{ Prefix: "b/" }], "b/"],
    )
    const rest = await cloud.s3("ListObjects", { Bucket, Delimiter: "/", Marker: folded.NextMarker })
    assert.deepEqual([keysOf(rest.Contents), rest.IsTruncated], [["c"], false])
    assert.equal(rest.Contents?.[0]?.Owner?.ID, cloud.daemon.credentials.account)
    assert.equal(await refused(cloud, "ListObjects", { Bucket, MaxKeys: -1 }), "400 InvalidArgument")
  },

  async ListObjectsV2(cloud) {
    const Bucket = await filled(cloud, "a b", "b/1", "b/2", "c", "é")
    const all: (string | undefined)[] = []
    let ContinuationToken: string | undefined
    do {
      const page = await cloud.s3("ListObjectsV2", {
        Bucket,
        MaxKeys: 2,
        ...(ContinuationToken ? { ContinuationToken } : {}),
      })
      assert.equal(page.KeyCount, page.Contents?.length)
      all.push(...keysOf(page.Contents))
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken)
    assert.deepEqual(all, ["a b", "b/1", "b/2", "c", "é"])
    const within = await cloud.s3("ListObjectsV2", { Bucket, Prefix: "b/", StartAfter: "b/1" })
    assert.deepEqual(keysOf(within.Contents), ["b/2"])
    assert.equal(within.Contents?.[0]?.Size, 6)
    const encoded = await cloud.s3("ListObjectsV2", { Bucket, EncodingType: "url", MaxKeys: 1 })
    assert.deepEqual(keysOf(encoded.Contents), ["a%20b"])
    const wrong = { Bucket, ContinuationToken: "no token" }
    assert.equal(await refused(cloud, "ListObjectsV2", wrong), "400 InvalidArgument")
  },

  async CreateMultipartUpload(cloud) {
    const Bucket = await bucketOf(cloud)
    const { UploadId, Key } = await cloud.s3("CreateMultipartUpload", { Bucket, Key: "k" })
    assert.equal(Key, "k")
    assert.match(UploadId ?? "", /^[0-9a-f]{32}$/)
    const wrong = { Bucket, Key: "k", StorageClass: "GLACIER" }
    assert.equal(await refused(cloud, "CreateMultipartUpload", wrong), "400 InvalidStorageClass")
  },

  async UploadPart(cloud) {
    const Bucket = await bucketOf(cloud)
    const { place, part } = await upload(cloud, Bucket, "k")
    assert.equal((await part(1, Buffer.from("one"))).ETag, `"${md5(Buffer.from("one"))}"`)
    const put = (more: object) => refused(cloud, "UploadPart", { ...place, PartNumber: 1, Body: "x", ...more })
    assert.equal(await put({ PartNumber: 10_001 }), "400 InvalidArgument")
    assert.equal(await put({ UploadId: "0".repeat(32) }), "404 NoSuchUpload")
  },

  async CompleteMultipartUpload(cloud) {
    const { s3 } = cloud
    const Bucket = await bucketOf(cloud)
    const { place, part } = await upload(cloud, Bucket, "whole")
    const last = Buffer.from("the end")
    const Parts = [await part(2, large), await part(7, last)]
    await part(9, Buffer.from("not chosen"))
    const complete = (parts: object[]) =>
      refused(cloud, "CompleteMultipartUpload", { ...place, MultipartUpload: { Parts: parts } })
    assert.equal(await complete(Parts.toReversed()), "400 InvalidPartOrder")
    assert.equal(await complete([{ PartNumber: 2, ETag: '"0"' }]), "400 InvalidPart")
    assert.equal(
      await complete([Parts[1] ?? {}, { PartNumber: 9, ETag: `"${md5(Buffer.from("not chosen"))}"` }]),
      "400 EntityTooSmall",
    )
    assert.equal(await complete([]), "400 MalformedXML")
    const { ETag } = await s3("CompleteMultipartUpload", { ...place, MultipartUpload: { Parts } })
    const sums = [large, last].map((each) => createHash("md5").update(each).digest())
    assert.equal(ETag, `"${md5(...sums)}-2"`)
    const Range = `bytes=${large.length - 2}-`
    const tail = await s3("GetObject", { Bucket, Key: "whole", Range })
    assert.deepEqual([await textOf(tail.Body), tail.ContentType], ["ghthe end", "text/parts"])
    assert.equal((await s3("HeadObject", { Bucket, Key: "whole" })).ContentLength, large.length + last.length)
    assert.equal(await complete(Parts), "404 NoSuchUpload")
  },

  async UploadPartCopy(cloud) {
    const Bucket = await filled(cloud, "source")
    const { place } = await upload(cloud, Bucket, "copied")
    const CopySource = `${Bucket}/source`
    const { CopyPartResult } = await cloud.s3("UploadPartCopy", {
      ...place,
      PartNumber: 1,
      CopySource,
      CopySourceRange: "bytes=3-5",
    })
    const Parts = [{ PartNumber: 1, ETag: CopyPartResult?.ETag }]
    await cloud.s3("CompleteMultipartUpload", { ...place, MultipartUpload: { Parts } })
    assert.equal(await textOf((await cloud.s3("GetObject", { Bucket, Key: "copied" })).Body), "sou")
    const again = await upload(cloud, Bucket, "copied")
    const copy = (more: object) =>
      refused(cloud, "UploadPartCopy", { ...again.place, PartNumber: 1, CopySource, ...more })
    assert.equal(await copy({ CopySourceRange: "bytes=99-" }), "416 InvalidRange")
    assert.equal(await copy({ CopySource: `${Bucket}/none` }), "404 NoSuchKey")
  },

  async AbortMultipartUpload(cloud) {
    const Bucket = await bucketOf(cloud)
    const { place, part } = await upload(cloud, Bucket, "k")
    await part(1, Buffer.from("one"))
    await cloud.s3("AbortMultipartUpload", place)
    assert.equal(await refused(cloud, "AbortMultipartUpload", place), "404 NoSuchUpload")
  },

  async ListParts(cloud) {
    const Bucket = await bucketOf(cloud)
    const { place, part } = await upload(cloud, Bucket, "k")
    for (const number of [3, 1, 2]) await part(number, Buffer.from(`part ${number}`))
    const first = await cloud.s3("ListParts", { ...place, MaxParts: 2 })
    assert.deepEqual([first.Parts?.map(({ PartNumber }) => PartNumber), first.IsTruncated], [[1, 2], true])
    const rest = await cloud.s3("ListParts", { ...place, PartNumberMarker: first.NextPartNumberMarker })
    assert.deepEqual(
      [rest.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]), rest.IsTruncated],
      [[[3, 6]], false],
    )
    assert.equal(await refused(cloud, "ListParts", { ...place, UploadId: "0" }), "404 NoSuchUpload")
  },

  async ListMultipartUploads(cloud) {
    const Bucket = await bucketOf(cloud)
    const made = []
    for (const Key of ["b", "a", "a"]) made.push((await cloud.s3("CreateMultipartUpload", { Bucket, Key })).UploadId)
    const seen: (string | undefined)[] = []
    let next: { KeyMarker?: string; UploadIdMarker?: string } = {}
    for (;;) {
      const page = await cloud.s3("ListMultipartUploads", { Bucket, MaxUploads: 1, ...next })
      seen.push(...(page.Uploads ?? []).map(({ Key, UploadId }) => `${Key} ${UploadId}`))
      if (page.IsTruncated !== true) break
      next = { KeyMarker: page.NextKeyMarker ?? "", UploadIdMarker: page.NextUploadIdMarker ?? "" }
    }
    assert.deepEqual(
      seen.map((each) => each?.split(" ")[0]),
      ["a", "a", "b"],
    )
    assert.equal(new Set(seen).size, 3)
    assert.equal(await refused(cloud, "ListMultipartUploads", { Bucket: "nobody-has-it" }), "404 NoSuchBucket")
  },
}
