/**
 * Tags of buckets and of objects. "Using cost allocation S3 bucket tags", "Categorizing your storage using tags": 50 of a bucket, 10 of an
 * object, keys of up to 128 and values of up to 256 characters.
 */
import type { Tag as SdkTag } from "@aws-sdk/client-s3"
import type { Tag } from "#cloud/resources/kind.ts"
import type { StoredObject } from "#engine/objects/types.ts"
import { raise } from "./errors.ts"
import {
  type Bucket,
  checkKey,
  type Handler,
  type Handlers,
  type Input,
  requireBucket,
  type Storage,
} from "./handler.ts"
import { metaOf, toMeta } from "./meta.ts"
import { findObject, guardOf } from "./objects.ts"
import { bucketKind } from "./record.ts"

const most = { bucket: 50, object: 10 }
const longest = { key: 128, value: 256 }

/** InvalidTag for what is no tag or is there twice, BadRequest for too many. */
function readTags(given: readonly SdkTag[] | undefined, limit: number): readonly Tag[] {
  if (given === undefined) throw raise("MalformedXML")
  const seen = new Set<string>()
  const tags = given.map(({ Key: key = "", Value: value = "" }) => {
    if (key === "" || lengthOf(key) > longest.key || !isText(key))
      throw raise("InvalidTag", { detail: "The TagKey you have provided is invalid" })
    if (lengthOf(value) > longest.value || !isText(value))
      throw raise("InvalidTag", { detail: "The TagValue you have provided is invalid" })
    if (key.toLowerCase().startsWith("aws:"))
      throw raise("InvalidTag", { detail: "System tags cannot be added/updated by requester" })
    if (seen.has(key)) throw raise("InvalidTag", { detail: "Cannot provide multiple Tags with the same key" })
    seen.add(key)
    return { key, value }
  })
  if (tags.length > limit) throw raise("BadRequest", { detail: `Object tags cannot be greater than ${limit}` })
  return tags
}

const lengthOf = (text: string) => Array.from(text).length
/** Letters, digits, spaces and + - = . _ : / @, as the guides name them. */
const isText = (text: string) => /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(text)

/** The header x-amz-tagging: "a=1&b=2", percent-encoded. The errors of `readTags`. */
export function readTagging(header: string | undefined): { readonly tags?: readonly Tag[] } {
  if (header === undefined || header === "") return {}
  const pairs = [...new URLSearchParams(header)]
  return given(
    readTags(
      pairs.map(([Key, Value]) => ({ Key, Value })),
      most.object,
    ),
  )
}

const given = (tags: readonly Tag[]): { readonly tags?: readonly Tag[] } => (tags.length === 0 ? {} : { tags })
const toSet = (tags: readonly Tag[]) => tags.map(({ key, value }) => ({ Key: key, Value: value }))

const putBucketTagging: Handler<"PutBucketTagging"> = async (input, call) => {
  const tagging = readTags(input.Tagging?.TagSet, most.bucket)
  const bucket = await requireBucket(call, input)
  call.draft.update(bucketKind, bucket, { ...bucket.record, tagging })
  await call.commit()
  return {}
}

/** NoSuchTagSet where there are none. */
const getBucketTagging: Handler<"GetBucketTagging"> = async (input, call) => {
  const { tagging = [] } = (await requireBucket(call, input)).record
  if (tagging.length === 0) throw raise("NoSuchTagSet")
  return { TagSet: toSet(tagging) }
}

const deleteBucketTagging: Handler<"DeleteBucketTagging"> = async (input, call) => {
  const bucket = await requireBucket(call, input)
  const { tagging: _, ...record } = bucket.record
  call.draft.update(bucketKind, bucket, record)
  await call.commit()
  return {}
}

class MovedError extends Error {}

/** The same object with other tags: its bytes and its time stay. */
async function retag(storage: Storage, bucket: Bucket, key: string, tags: readonly Tag[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const object = await findObject(storage, bucket, key)
    const { tags: _, ...meta } = metaOf(object)
    // One that was put meanwhile has tags of its own: these are for what stands there then.
    const same = (now: StoredObject | undefined) => {
      if (now?.modifiedMs !== object.modifiedMs || metaOf(now).etag !== meta.etag) throw new MovedError()
    }
    const wish = {
      space: object.space,
      name: object.name,
      blobs: object.blobs,
      meta: toMeta({ ...meta, ...given(tags) }),
      atMs: object.modifiedMs,
      guard: guardOf(storage, bucket, same),
    }
    try {
      await storage.objects.put(wish)
      return
    } catch (error) {
      const moved = error instanceof MovedError || (error instanceof Error && error.name === "BlobGoneError")
      if (!moved || attempt === 5) throw moved ? raise("OperationAborted") : error
    }
  }
}

/** What names an object, and what is not done: a version of it. */
function keyOf(input: Input<"GetObjectTagging">, operation: string): string {
  if (input.VersionId !== undefined) throw raise("NotImplemented", { operation: `${operation} with VersionId` })
  return checkKey(input.Key)
}

const putObjectTagging =
  (storage: Storage): Handler<"PutObjectTagging"> =>
  async (input, call) => {
    const key = keyOf(input, "PutObjectTagging")
    const tags = readTags(input.Tagging?.TagSet, most.object)
    await retag(storage, await requireBucket(call, input), key, tags)
    return {}
  }

const getObjectTagging =
  (storage: Storage): Handler<"GetObjectTagging"> =>
  async (input, call) => {
    const key = keyOf(input, "GetObjectTagging")
    const object = await findObject(storage, await requireBucket(call, input), key)
    return { TagSet: toSet(metaOf(object).tags ?? []) }
  }

const deleteObjectTagging =
  (storage: Storage): Handler<"DeleteObjectTagging"> =>
  async (input, call) => {
    const key = keyOf(input, "DeleteObjectTagging")
    await retag(storage, await requireBucket(call, input), key, [])
    return {}
  }

export const tagHandlers = (storage: Storage) =>
  ({
    DeleteBucketTagging: deleteBucketTagging,
    DeleteObjectTagging: deleteObjectTagging(storage),
    GetBucketTagging: getBucketTagging,
    GetObjectTagging: getObjectTagging(storage),
    PutBucketTagging: putBucketTagging,
    PutObjectTagging: putObjectTagging(storage),
  }) satisfies Handlers
