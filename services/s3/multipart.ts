/**
 * Uploads in parts. An upload is an object without bytes in a space beside its bucket's objects, and its parts are objects of a space of its
 * own; the whole is made of their bytes at once. https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */
import { createHash, randomBytes } from "node:crypto"
import type { Blob, Page, StoredObject } from "#engine/objects/types.ts"
import { type Algorithm, asMembers, checksumOf, type Checksums, saidChecksums } from "./checksums.ts"
import { readRange, writeGuard } from "./conditions.ts"
import { raise } from "./errors.ts"
import {
  type Bucket,
  checkKey,
  type Handler,
  type Handlers,
  type Input,
  ownerOf,
  refuseNotDone,
  requireBucket,
  type Storage,
} from "./handler.ts"
import { readEncoding, readMost } from "./list.ts"
import { metaOf, type ObjectMeta, readMeta, toMeta } from "./meta.ts"
import { readTagging } from "./tags.ts"
import { findSource, guardOf, keep, largestPart, readSource } from "./objects.ts"

const mostParts = 10_000
const smallestPart = 5 * 2 ** 20

const uploadsOf = ({ record }: Bucket) => `${record.space}/uploads`
const partsOf = (bucket: Bucket, upload: string) => `${uploadsOf(bucket)}/${upload}`
const idLength = 32
const uploadName = (key: string, upload: string) => `${key}/${upload}`
const partName = (number: number) => String(number).padStart(5, "0")

async function requireUpload(
  { objects }: Storage,
  bucket: Bucket,
  { Key, UploadId = "" }: { readonly Key?: string | undefined; readonly UploadId?: string | undefined },
): Promise<StoredObject> {
  const found = /^[0-9a-f]{32}$/.test(UploadId)
    ? await objects.get(uploadsOf(bucket), uploadName(checkKey(Key), UploadId))
    : undefined
  if (!found) throw raise("NoSuchUpload")
  return found
}

const createUpload =
  (storage: Storage): Handler<"CreateMultipartUpload"> =>
  async (input, call) => {
    refuseNotDone(input, call, "Tagging")
    const key = checkKey(input.Key)
    const told = { ...readMeta(input), ...readTagging(input.Tagging) }
    const bucket = await requireBucket(call, input)
    const UploadId = randomBytes(idLength / 2).toString("hex")
    const meta: ObjectMeta = { ...told, etag: "", checksums: {} }
    const wish = { space: uploadsOf(bucket), name: uploadName(key, UploadId), blobs: [], meta: toMeta(meta) }
    await storage.objects.put({ ...wish, atMs: call.cloud.clock.wallMs(), guard: guardOf(storage, bucket, () => {}) })
    return { Bucket: bucket.record.name, Key: key, UploadId }
  }

const uploadPart =
  (storage: Storage): Handler<"UploadPart"> =>
  async (input, call) => {
    refuseNotDone(input, call, "PartNumber")
    const number = readNumber(input.PartNumber)
    const bucket = await requireBucket(call, input)
    await requireUpload(storage, bucket, input)
    const { blob, checksums } = await keep(storage, input.Body, input)
    const etag = await putPart(storage, bucket, input, { number, blob, checksums, atMs: call.cloud.clock.wallMs() })
    return { ETag: etag, ...asMembers(checksums) }
  }

const uploadPartCopy =
  (storage: Storage): Handler<"UploadPartCopy"> =>
  async (input, call) => {
    refuseNotDone(input, call, "PartNumber")
    const number = readNumber(input.PartNumber)
    const source = readSource(input.CopySource)
    const bucket = await requireBucket(call, input)
    await requireUpload(storage, bucket, input)
    const object = await findSource(storage, call, source, input)
    const range = readRange(input.CopySourceRange, object.sizeBytes)
    if (input.CopySourceRange !== undefined && !range)
      throw raise("InvalidArgument", {
        detail: "The x-amz-copy-source-range value must be of the form bytes=first-last",
      })
    const { from, to } = range ?? { from: 0, to: object.sizeBytes }
    if (to - from > largestPart) throw raise("EntityTooLarge")
    const blob = await storage.objects.write(storage.objects.read(object, from, to), largestPart)
    const part = { number, blob, checksums: {}, atMs: call.cloud.clock.wallMs() }
    const ETag = await putPart(storage, bucket, input, part)
    return { CopyPartResult: { ETag, LastModified: new Date(part.atMs) } }
  }

interface KeptPart {
  readonly number: number
  readonly blob: Blob
  readonly checksums: Checksums
  readonly atMs: number
}

/** Makes kept bytes a part of an upload; gives its ETag. Throws NoSuchUpload when it was completed or given up meanwhile. */
async function putPart(
  storage: Storage,
  bucket: Bucket,
  input: { readonly Key?: string | undefined; readonly UploadId?: string | undefined },
  { number, blob, checksums, atMs }: KeptPart,
): Promise<string> {
  const etag = `"${blob.md5}"`
  const space = partsOf(bucket, input.UploadId ?? "")
  const meta = toMeta({ etag, checksums, contentType: "", user: {} })
  const wish = { space, name: partName(number), blobs: [blob], meta, atMs }
  try {
    await storage.objects.put({ ...wish, guard: guardOf(storage, bucket, () => {}) })
  } catch (error) {
    await storage.objects.discard([blob])
    throw error
  }
  await requireUpload(storage, bucket, input).catch(async (error: unknown) => {
    await storage.objects.remove(space, [partName(number)])
    throw error
  })
  return etag
}

function readNumber(number: number | undefined): number {
  if (number !== undefined && Number.isInteger(number) && number >= 1 && number <= mostParts) return number
  throw raise("InvalidArgument", { detail: `Part number must be an integer between 1 and ${mostParts}, inclusive` })
}

/** All parts of an upload, in order. */
async function allParts({ objects }: Storage, space: string): Promise<readonly StoredObject[]> {
  const found: StoredObject[] = []
  let after = ""
  for (;;) {
    const page = await objects.list({ space, prefix: "", delimiter: "", after, limit: 1000 })
    found.push(...page.objects)
    if (page.next === undefined) return found
    after = page.next
  }
}

type Part = NonNullable<NonNullable<Input<"CompleteMultipartUpload">["MultipartUpload"]>["Parts"]>[number]

/** The parts that a request names, each as it was uploaded. Throws MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall. */
function chosenParts(wanted: readonly Part[], uploaded: readonly StoredObject[]): readonly StoredObject[] {
  if (wanted.length < 1 || wanted.length > mostParts) throw raise("MalformedXML")
  const byName = new Map(uploaded.map((part) => [part.name, part]))
  let last = 0
  const chosen = wanted.map((each) => {
    const number = readNumber(each.PartNumber)
    if (number <= last) throw raise("InvalidPartOrder")
    last = number
    const part = byName.get(partName(number))
    const isSame = part && metaOf(part).etag.replaceAll('"', "") === each.ETag?.replaceAll('"', "")
    if (!isSame || !agree(saidChecksums(each), metaOf(part).checksums)) throw raise("InvalidPart")
    return part
  })
  if (chosen.slice(0, -1).some(({ sizeBytes }) => sizeBytes < smallestPart)) throw raise("EntityTooSmall")
  return chosen
}

const agree = (said: Checksums, known: Checksums) =>
  Object.entries(said).every(([name, value]) => (known[name as Algorithm] ?? value) === value)

/** The MD5 of the parts' MD5s, and how many there are: what S3 gives an object of parts. */
function etagOf(parts: readonly StoredObject[]): string {
  const sum = createHash("md5")
  for (const part of parts) sum.update(Buffer.from(metaOf(part).etag.replaceAll('"', ""), "hex"))
  return `"${sum.digest("hex")}-${parts.length}"`
}

const completeUpload =
  (storage: Storage): Handler<"CompleteMultipartUpload"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const key = checkKey(input.Key)
    const guard = writeGuard(input)
    const bucket = await requireBucket(call, input)
    const upload = await requireUpload(storage, bucket, input)
    const space = partsOf(bucket, input.UploadId ?? "")
    const chosen = chosenParts(input.MultipartUpload?.Parts ?? [], await allParts(storage, space))
    const sizeBytes = chosen.reduce((sum, part) => sum + part.sizeBytes, 0)
    if (input.MpuObjectSize !== undefined && input.MpuObjectSize !== sizeBytes)
      throw raise("InvalidRequest", { detail: "The object's size is not what x-amz-mp-object-size says" })
    const blobs = chosen.flatMap((part) => part.blobs)
    const whole = { ...upload, sizeBytes, blobs }
    const checksums = input.ChecksumType === "COMPOSITE" ? {} : saidChecksums(input)
    for (const [name, value] of Object.entries(checksums) as [Algorithm, string][])
      if ((await checksumOf(name, storage.objects.read(whole, 0, sizeBytes))) !== value)
        throw raise("BadDigest", { what: name })
    const meta: ObjectMeta = { ...metaOf(upload), etag: etagOf(chosen), checksums }
    const removing = [
      { space: upload.space, name: upload.name },
      ...chosen.map((part) => ({ space: part.space, name: part.name })),
    ]
    const wish = {
      space: bucket.record.space,
      name: key,
      blobs,
      meta: toMeta(meta),
      atMs: call.cloud.clock.wallMs(),
      removing,
    }
    await storage.objects.put({ ...wish, guard: guardOf(storage, bucket, guard) }).catch((error: unknown) => {
      // Somebody else completed it or gave it up a moment before.
      throw error instanceof Error && error.name === "BlobGoneError" ? raise("NoSuchUpload") : error
    })
    await storage.objects.removeSpace(space)
    return {
      Location: `/${bucket.record.name}/${encodeURI(key)}`,
      Bucket: bucket.record.name,
      Key: key,
      ETag: meta.etag,
      ...asMembers(checksums),
    }
  }

const abortUpload =
  (storage: Storage): Handler<"AbortMultipartUpload"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    if (input.IfMatchInitiatedTime !== undefined)
      throw raise("NotImplemented", { operation: "AbortMultipartUpload with IfMatchInitiatedTime" })
    const bucket = await requireBucket(call, input)
    const { space, name } = await requireUpload(storage, bucket, input)
    await storage.objects.remove(space, [name])
    await storage.objects.removeSpace(partsOf(bucket, input.UploadId ?? ""))
    return {}
  }

const listParts =
  (storage: Storage): Handler<"ListParts"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const most = readMost(input.MaxParts, "max-parts")
    const bucket = await requireBucket(call, input)
    await requireUpload(storage, bucket, input)
    const marker = Number(input.PartNumberMarker ?? 0)
    if (!Number.isInteger(marker) || marker < 0)
      throw raise("InvalidArgument", { detail: "part-number-marker must be an integer" })
    const space = partsOf(bucket, input.UploadId ?? "")
    const query = { space, prefix: "", delimiter: "", after: partName(marker), limit: most }
    const page: Page = most === 0 ? { objects: [], prefixes: [] } : await storage.objects.list(query)
    return {
      Bucket: bucket.record.name,
      Key: input.Key,
      UploadId: input.UploadId,
      PartNumberMarker: String(marker),
      MaxParts: most,
      IsTruncated: page.next !== undefined,
      Parts: page.objects.map((part) => ({
        PartNumber: Number(part.name),
        LastModified: new Date(part.modifiedMs),
        ETag: metaOf(part).etag,
        Size: part.sizeBytes,
        ...asMembers(metaOf(part).checksums),
      })),
      Initiator: ownerOf(call),
      Owner: ownerOf(call),
      StorageClass: "STANDARD",
      ...(page.next === undefined ? {} : { NextPartNumberMarker: String(Number(page.next)) }),
    }
  }

const listUploads =
  (storage: Storage): Handler<"ListMultipartUploads"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    if (input.Delimiter !== undefined)
      throw raise("NotImplemented", { operation: "ListMultipartUploads with Delimiter" })
    const encode = readEncoding(input.EncodingType)
    const most = readMost(input.MaxUploads, "max-uploads")
    const bucket = await requireBucket(call, input)
    const { KeyMarker = "", UploadIdMarker, Prefix = "" } = input
    // Behind all uploads of a key stands the key and what comes after the last id.
    const after = KeyMarker === "" ? "" : uploadName(KeyMarker, UploadIdMarker ?? "g")
    const query = { space: uploadsOf(bucket), prefix: Prefix, delimiter: "", after, limit: most }
    const page: Page = most === 0 ? { objects: [], prefixes: [] } : await storage.objects.list(query)
    const uploads = page.objects.map(({ name, modifiedMs }) => ({
      Key: name.slice(0, -idLength - 1),
      UploadId: name.slice(-idLength),
      Initiated: new Date(modifiedMs),
    }))
    const last = page.next === undefined ? undefined : uploads.at(-1)
    return {
      Bucket: bucket.record.name,
      KeyMarker: encode(KeyMarker),
      UploadIdMarker: UploadIdMarker ?? "",
      Prefix: encode(Prefix),
      MaxUploads: most,
      IsTruncated: last !== undefined,
      Uploads: uploads.map((each) => ({
        ...each,
        Key: encode(each.Key),
        StorageClass: "STANDARD" as const,
        Owner: ownerOf(call),
        Initiator: ownerOf(call),
      })),
      ...(input.EncodingType === undefined ? {} : { EncodingType: "url" as const }),
      ...(last ? { NextKeyMarker: encode(last.Key), NextUploadIdMarker: last.UploadId } : {}),
    }
  }

export const multipartHandlers = (storage: Storage) =>
  ({
    AbortMultipartUpload: abortUpload(storage),
    CompleteMultipartUpload: completeUpload(storage),
    CreateMultipartUpload: createUpload(storage),
    ListMultipartUploads: listUploads(storage),
    ListParts: listParts(storage),
    UploadPart: uploadPart(storage),
    UploadPartCopy: uploadPartCopy(storage),
  }) satisfies Handlers
