/** Objects: put, get, head, copy, delete. */
import type { Call } from "#cloud/call.ts"
import type { StoredObject } from "#engine/objects/types.ts"
import { Fault } from "#lib/fault.ts"
import type { StreamBody } from "#wire/types.ts"
import { asMembers, checked } from "./checksums.ts"
import { type Conditions, readRange, requireConditions, writeGuard } from "./conditions.ts"
import { raise } from "./errors.ts"
import {
  type Bucket,
  checkKey,
  type Handler,
  type Handlers,
  type Input,
  refuseNotDone,
  requireBucket,
  type Storage,
} from "./handler.ts"
import { checkHeaders, metaOf, type ObjectMeta, readMeta, toMeta, wholeSeconds } from "./meta.ts"
import { readTagging } from "./tags.ts"

export const largestPart = 5 * 2 ** 30

/** Keeps an upload's bytes, checked. Throws EntityTooLarge, MissingContentLength and what `checked` throws; nothing is kept then. */
export async function keep({ objects }: Storage, body: unknown, input: object) {
  const stream = body as StreamBody
  if (stream.sizeBytes === undefined) throw raise("MissingContentLength")
  if (stream.sizeBytes > largestPart) throw raise("EntityTooLarge")
  const { source, checksums } = checked(stream, input)
  try {
    return { blob: await objects.write(source, largestPart), checksums }
  } catch (error) {
    throw error instanceof Error && error.name === "TooLargeError" ? raise("EntityTooLarge") : error
  }
}

/** The guard of everything that is put into a bucket: one that is about to go takes nothing. */
export function guardOf(storage: Storage, bucket: Bucket, also: (now: StoredObject | undefined) => void) {
  return (now: StoredObject | undefined) => {
    if (storage.closing.has(bucket.record.space)) throw raise("NoSuchBucket")
    also(now)
  }
}

const putObject =
  (storage: Storage): Handler<"PutObject"> =>
  async (input, call) => {
    refuseNotDone(input, call, "Tagging")
    const name = checkKey(input.Key)
    const guard = writeGuard(input)
    const told = { ...readMeta(input), ...readTagging(input.Tagging) }
    const bucket = await requireBucket(call, input)
    const { space } = bucket.record
    // Refused before the bytes come where it can be; the guard says it again when they are there.
    if (input.IfMatch !== undefined || input.IfNoneMatch !== undefined) guard(await storage.objects.get(space, name))
    const { blob, checksums } = await keep(storage, input.Body, input)
    const meta: ObjectMeta = { ...told, etag: `"${blob.md5}"`, checksums, checksumType: "FULL_OBJECT" }
    const wish = { space, name, blobs: [blob], meta: toMeta(meta), atMs: call.cloud.clock.wallMs() }
    try {
      await storage.objects.put({ ...wish, guard: guardOf(storage, bucket, guard) })
    } catch (error) {
      await storage.objects.discard([blob])
      throw error
    }
    const proven = Object.keys(checksums).length > 0
    return { ETag: meta.etag, ...asMembers(checksums), ...(proven ? { ChecksumType: "FULL_OBJECT" as const } : {}) }
  }

type Read = Input<"GetObject">

/** Throws NoSuchKey. */
export async function findObject({ objects }: Storage, bucket: Bucket, key: string): Promise<StoredObject> {
  const object = await objects.get(bucket.record.space, key)
  if (!object) throw raise("NoSuchKey")
  return object
}

function answerOf(object: StoredObject, input: Read) {
  const meta = metaOf(object)
  checkHeaders(
    input.ResponseCacheControl,
    input.ResponseContentDisposition,
    input.ResponseContentEncoding,
    input.ResponseContentLanguage,
    input.ResponseContentType,
  )
  const range = readRange(input.Range, object.sizeBytes)
  const { from, to } = range ?? { from: 0, to: object.sizeBytes }
  const set = (name: string, value: string | undefined) => (value === undefined ? {} : { [name]: value })
  const members = {
    AcceptRanges: "bytes",
    ETag: meta.etag,
    LastModified: new Date(wholeSeconds(object.modifiedMs)),
    ContentLength: to - from,
    ContentType: input.ResponseContentType ?? meta.contentType,
    Metadata: meta.user,
    ...set("CacheControl", input.ResponseCacheControl ?? meta.cacheControl),
    ...set("ContentDisposition", input.ResponseContentDisposition ?? meta.contentDisposition),
    ...set("ContentEncoding", input.ResponseContentEncoding ?? meta.contentEncoding),
    ...set("ContentLanguage", input.ResponseContentLanguage ?? meta.contentLanguage),
    ...(meta.tags === undefined ? {} : { TagCount: meta.tags.length }),
    ...set("ContentRange", range && `bytes ${from}-${to - 1}/${object.sizeBytes}`),
    // The schemas know the header by two names; the text is the one that was sent.
    ...set("ExpiresString", input.ResponseExpires?.toUTCString() ?? meta.expires),
    ...(input.ChecksumMode === "ENABLED" && !range ? asMembers(meta.checksums) : {}),
  }
  return { from, to, members }
}

const conditionsOf = (input: Read): Conditions => ({
  match: input.IfMatch,
  noneMatch: input.IfNoneMatch,
  modifiedSince: input.IfModifiedSince,
  unmodifiedSince: input.IfUnmodifiedSince,
})

const getObject =
  (storage: Storage): Handler<"GetObject"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const object = await findObject(storage, await requireBucket(call, input), checkKey(input.Key))
    requireConditions(object, conditionsOf(input))
    const { from, to, members } = answerOf(object, input)
    // The SDK's type is of its client's side, where a body has more to it.
    return { ...members, Body: storage.objects.read(object, from, to) as never }
  }

const headObject =
  (storage: Storage): Handler<"HeadObject"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const object = await findObject(storage, await requireBucket(call, input), checkKey(input.Key))
    requireConditions(object, conditionsOf(input))
    return answerOf(object, input).members
  }

/** "/bucket/key" or "bucket/key", percent-encoded. */
export function readSource(text: string | undefined): { readonly Bucket: string; readonly Key: string } {
  const [path = "", query] = (text ?? "").split("?", 2)
  if (query !== undefined) throw raise("NotImplemented", { operation: "A copy of a version" })
  try {
    const [, Bucket, Key] = /^\/?([^/]+)\/(.+)$/s.exec(decodeURIComponent(path.replaceAll("+", " "))) ?? []
    if (Bucket && Key) return { Bucket, Key }
  } catch {
    // Badly encoded: as if nothing was said.
  }
  throw raise("InvalidArgument", {
    detail: "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
  })
}

interface SourceConditions {
  readonly CopySourceIfMatch?: string | undefined
  readonly CopySourceIfNoneMatch?: string | undefined
  readonly CopySourceIfModifiedSince?: Date | undefined
  readonly CopySourceIfUnmodifiedSince?: Date | undefined
  readonly ExpectedSourceBucketOwner?: string | undefined
}

/** The object that is copied. Throws NoSuchBucket, NoSuchKey, AccessDenied and PreconditionFailed. */
export async function findSource(
  storage: Storage,
  call: Call,
  { Bucket, Key }: ReturnType<typeof readSource>,
  input: SourceConditions,
): Promise<StoredObject> {
  const bucket = await requireBucket(call, { Bucket, ExpectedBucketOwner: input.ExpectedSourceBucketOwner })
  const object = await findObject(storage, bucket, Key)
  const conditions = {
    match: input.CopySourceIfMatch,
    noneMatch: input.CopySourceIfNoneMatch,
    modifiedSince: input.CopySourceIfModifiedSince,
    unmodifiedSince: input.CopySourceIfUnmodifiedSince,
  }
  requireConditions(object, conditions, true)
  return object
}

const copyObject =
  (storage: Storage): Handler<"CopyObject"> =>
  async (input, call) => {
    refuseNotDone(input, call, "Tagging")
    const name = checkKey(input.Key)
    const source = readSource(input.CopySource)
    const directive = input.MetadataDirective ?? "COPY"
    if (directive !== "COPY" && directive !== "REPLACE")
      throw raise("InvalidArgument", { detail: "Unknown metadata directive." })
    const tagging = input.TaggingDirective ?? "COPY"
    if (tagging !== "COPY" && tagging !== "REPLACE")
      throw raise("InvalidArgument", { detail: "Unknown tagging directive." })
    const isSame = source.Bucket === input.Bucket && source.Key === name
    if (isSame && directive === "COPY")
      throw raise("InvalidRequest", {
        detail:
          "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
      })
    const bucket = await requireBucket(call, input)
    const object = await findSource(storage, call, source, input)
    const old = metaOf(object)
    const { tags: oldTags, ...told } = old
    const meta: ObjectMeta = {
      ...(directive === "COPY" ? told : { ...readMeta(input), etag: old.etag, checksums: old.checksums }),
      ...(tagging === "REPLACE" ? readTagging(input.Tagging) : oldTags && { tags: oldTags }),
    }
    const wish = {
      space: bucket.record.space,
      name,
      blobs: object.blobs,
      meta: toMeta(meta),
      atMs: call.cloud.clock.wallMs(),
    }
    const guard = guardOf(storage, bucket, writeGuard(input))
    const made = await storage.objects.put({ ...wish, guard }).catch((error: unknown) => {
      throw error instanceof Error && error.name === "BlobGoneError" ? raise("NoSuchKey") : error
    })
    return {
      CopyObjectResult: { ETag: meta.etag, LastModified: new Date(made.modifiedMs), ...asMembers(meta.checksums) },
    }
  }

const deleteObject =
  (storage: Storage): Handler<"DeleteObject"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const name = checkKey(input.Key)
    if (input.IfMatch !== undefined) throw raise("NotImplemented", { operation: "DeleteObject with If-Match" })
    const bucket = await requireBucket(call, input)
    await storage.objects.remove(bucket.record.space, [name])
    return {}
  }

const mostDeletes = 1000

const deleteObjects =
  (storage: Storage): Handler<"DeleteObjects"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const wanted = input.Delete?.Objects ?? []
    if (wanted.length < 1 || wanted.length > mostDeletes) throw raise("MalformedXML")
    const bucket = await requireBucket(call, input)
    const done: string[] = []
    const failed: { Key: string; Code: string; Message: string }[] = []
    for (const each of wanted) {
      try {
        if (each.VersionId ?? each.ETag ?? each.LastModifiedTime ?? each.Size)
          throw raise("NotImplemented", { operation: "DeleteObjects with conditions or versions" })
        done.push(checkKey(each.Key))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        failed.push({ Key: each.Key ?? "", Code: error.code, Message: error.message })
      }
    }
    await storage.objects.remove(bucket.record.space, done)
    return {
      ...(input.Delete?.Quiet === true ? {} : { Deleted: done.map((Key) => ({ Key })) }),
      ...(failed.length > 0 ? { Errors: failed } : {}),
    }
  }

export const objectHandlers = (storage: Storage) =>
  ({
    CopyObject: copyObject(storage),
    DeleteObject: deleteObject(storage),
    DeleteObjects: deleteObjects(storage),
    GetObject: getObject(storage),
    HeadObject: headObject(storage),
    PutObject: putObject(storage),
  }) satisfies Handlers
