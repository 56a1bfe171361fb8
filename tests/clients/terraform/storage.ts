/** aws_s3_bucket and aws_s3_object, path style. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import * as sdk from "@aws-sdk/client-s3"
import type { TestCloud } from "../operations/cloud.ts"
import { type Replay, type State, tagsOf } from "./replay.ts"

const codeOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call
    return "200"
  } catch (error) {
    return error instanceof Error ? error.name : String(error)
  }
}

/** What is read besides, and how an answer without it may be called; not to have it at all is always fine. */
const besides = {
  GetBucketPolicy: "NoSuchBucketPolicy",
  GetBucketAcl: "200",
  GetBucketCors: "NoSuchCORSConfiguration",
  GetBucketWebsite: "NoSuchWebsiteConfiguration",
  GetBucketVersioning: "200",
  GetBucketAccelerateConfiguration: "200",
  GetBucketRequestPayment: "200",
  GetBucketLogging: "200",
  GetBucketLifecycleConfiguration: "NoSuchLifecycleConfiguration",
  GetBucketReplication: "ReplicationConfigurationNotFoundError",
  GetBucketEncryption: "ServerSideEncryptionConfigurationNotFoundError",
  GetObjectLockConfiguration: "ObjectLockConfigurationNotFoundError",
} as const

async function readBesides({ daemon }: TestCloud, Bucket: string): Promise<void> {
  const { endpoint, credentials } = daemon
  const client = new sdk.S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 })
  try {
    for (const [operation, none] of Object.entries(besides)) {
      const Command = sdk[`${operation as keyof typeof besides}Command`] as unknown as new (input: object) => never
      const said = await codeOf(client.send(new Command({ Bucket })))
      assert.ok([none, "NotImplemented", "200"].includes(said), `${operation}: ${said}`)
    }
  } finally {
    client.destroy()
  }
}

const Bucket = "terraform-bucket"

async function bucketTags({ s3 }: TestCloud, Bucket: string): Promise<State> {
  try {
    return tagsOf((await s3("GetBucketTagging", { Bucket })).TagSet)
  } catch (error) {
    if (error instanceof Error && error.name === "NoSuchTagSet") return {}
    throw error
  }
}

/** Tags are set as a whole, over those that are there. */
async function tagBucket(cloud: TestCloud, Bucket: string, step: string): Promise<void> {
  assert.notEqual((await bucketTags(cloud, Bucket))["step"], step)
  await cloud.s3("PutBucketTagging", { Bucket, Tagging: { TagSet: [{ Key: "step", Value: step }] } })
}

export const bucket: Replay = {
  resource: "aws_s3_bucket",
  async create(cloud) {
    assert.equal(await codeOf(cloud.s3("HeadBucket", { Bucket })), "NotFound")
    await cloud.s3("CreateBucket", { Bucket })
    await cloud.s3("HeadBucket", { Bucket })
    await tagBucket(cloud, Bucket, "first")
    return Bucket
  },
  async read(cloud, id) {
    const code = await codeOf(cloud.s3("HeadBucket", { Bucket: id }))
    if (code === "NotFound") return undefined
    assert.equal(code, "200")
    await readBesides(cloud, id)
    const { BucketRegion } = await cloud.s3("HeadBucket", { Bucket: id })
    return { region: BucketRegion, tags: await bucketTags(cloud, id) }
  },
  planned: { region: "us-east-1", tags: { step: "first" } },
  update: (cloud, id) => tagBucket(cloud, id, "second"),
  changed: { tags: { step: "second" } },
  async destroy({ s3 }, id) {
    await s3("DeleteBucket", { Bucket: id })
  },
}

const place = { Bucket: "terraform-objects", Key: "folder/hello.txt" }
const etagOf = (text: string) => `"${createHash("md5").update(text).digest("hex")}"`

export const object: Replay = {
  resource: "aws_s3_object",
  async create({ s3 }) {
    await s3("CreateBucket", { Bucket: place.Bucket })
    const more = { ContentType: "text/plain", Tagging: "step=first" }
    await s3("PutObject", { ...place, Body: "hello first", ...more })
    return place.Key
  },
  async read({ s3 }, Key) {
    try {
      const head = await s3("HeadObject", { ...place, Key })
      const { TagSet } = await s3("GetObjectTagging", { ...place, Key })
      return {
        etag: head.ETag,
        content_type: head.ContentType,
        // Absent is STANDARD.
        storage_class: head.StorageClass,
        server_side_encryption: head.ServerSideEncryption,
        version_id: head.VersionId,
        metadata: head.Metadata,
        tags: tagsOf(TagSet),
      }
    } catch (error) {
      if (error instanceof Error && error.name === "NotFound") return undefined
      throw error
    }
  },
  planned: {
    etag: etagOf("hello first"),
    content_type: "text/plain",
    storage_class: undefined,
    version_id: undefined,
    metadata: {},
    tags: { step: "first" },
  },
  async update({ s3 }, Key) {
    const more = { ContentType: "text/plain", Tagging: "step=second" }
    await s3("PutObject", { ...place, Key, Body: "hello second", ...more })
  },
  changed: { etag: etagOf("hello second"), tags: { step: "second" } },
  async destroy({ s3 }, Key) {
    await s3("DeleteObject", { ...place, Key })
    await s3("DeleteBucket", { Bucket: place.Bucket })
  },
}
