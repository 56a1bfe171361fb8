/** ListObjects and ListObjectsV2. */
import type { Page, StoredObject } from "#engine/objects/types.ts"
import type { Call } from "#cloud/call.ts"
import { raise } from "./errors.ts"
import { type Handler, type Handlers, ownerOf, refuseNotDone, requireBucket, type Storage } from "./handler.ts"
import { metaOf } from "./meta.ts"

const largestPage = 1000

/** MaxKeys and the like: more than a page is a page. */
export function readMost(value: number | undefined, name: string): number {
  if (value === undefined) return largestPage
  if (!Number.isInteger(value) || value < 0 || value > 2_147_483_647)
    throw raise("InvalidArgument", { detail: `Provided ${name} not an integer or within integer range` })
  return Math.min(value, largestPage)
}

/** How names stand in the answer: XML cannot say all of them, so clients may ask for percent-encoding. */
export function readEncoding(type: string | undefined): (text: string) => string {
  if (type === undefined) return (text) => text
  if (type !== "url") throw raise("InvalidArgument", { detail: "Invalid Encoding Method specified in Request" })
  return (text) =>
    encodeURIComponent(text)
      .replaceAll("%2F", "/")
      .replaceAll(/[!'()]/g, escaped)
}
const escaped = (letter: string) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`

interface Asked {
  readonly Prefix?: string | undefined
  readonly Delimiter?: string | undefined
  readonly EncodingType?: string | undefined
}

function contentsOf(objects: readonly StoredObject[], encode: (text: string) => string, call: Call | undefined) {
  return objects.map((object) => ({
    Key: encode(object.name),
    LastModified: new Date(object.modifiedMs),
    ETag: metaOf(object).etag,
    Size: object.sizeBytes,
    StorageClass: "STANDARD" as const,
    ...(call ? { Owner: ownerOf(call) } : {}),
  }))
}

function common({ prefixes }: Page, { Prefix = "", Delimiter, EncodingType }: Asked, encode: (text: string) => string) {
  return {
    Prefix: encode(Prefix),
    ...(prefixes.length > 0 ? { CommonPrefixes: prefixes.map((prefix) => ({ Prefix: encode(prefix) })) } : {}),
    ...(Delimiter === undefined ? {} : { Delimiter: encode(Delimiter) }),
    ...(EncodingType === undefined ? {} : { EncodingType: "url" as const }),
  }
}

async function pageOf(storage: Storage, space: string, input: Asked, after: string, limit: number): Promise<Page> {
  if (limit === 0) return { objects: [], prefixes: [] }
  return storage.objects.list({ space, prefix: input.Prefix ?? "", delimiter: input.Delimiter ?? "", after, limit })
}

const listObjects =
  (storage: Storage): Handler<"ListObjects"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const encode = readEncoding(input.EncodingType)
    const limit = readMost(input.MaxKeys, "max-keys")
    const bucket = await requireBucket(call, input)
    const page = await pageOf(storage, bucket.record.space, input, input.Marker ?? "", limit)
    return {
      Name: bucket.record.name,
      Marker: encode(input.Marker ?? ""),
      MaxKeys: limit,
      IsTruncated: page.next !== undefined,
      Contents: contentsOf(page.objects, encode, call),
      ...common(page, input, encode),
      ...(page.next === undefined || !input.Delimiter ? {} : { NextMarker: encode(page.next) }),
    }
  }

const listObjectsV2 =
  (storage: Storage): Handler<"ListObjectsV2"> =>
  async (input, call) => {
    refuseNotDone(input, call)
    const encode = readEncoding(input.EncodingType)
    const limit = readMost(input.MaxKeys, "max-keys")
    const after = input.ContinuationToken === undefined ? (input.StartAfter ?? "") : readToken(input.ContinuationToken)
    const bucket = await requireBucket(call, input)
    const page = await pageOf(storage, bucket.record.space, input, after, limit)
    return {
      Name: bucket.record.name,
      MaxKeys: limit,
      KeyCount: page.objects.length + page.prefixes.length,
      IsTruncated: page.next !== undefined,
      Contents: contentsOf(page.objects, encode, input.FetchOwner === true ? call : undefined),
      ...common(page, input, encode),
      ...(input.ContinuationToken === undefined ? {} : { ContinuationToken: input.ContinuationToken }),
      ...(input.StartAfter === undefined ? {} : { StartAfter: encode(input.StartAfter) }),
      ...(page.next === undefined ? {} : { NextContinuationToken: Buffer.from(`1${page.next}`).toString("base64url") }),
    }
  }

function readToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString()
  if (!text.startsWith("1") || Buffer.from(text).toString("base64url") !== token)
    throw raise("InvalidArgument", { detail: "The continuation token provided is incorrect" })
  return text.slice(1)
}

export const listHandlers = (storage: Storage) =>
  ({ ListObjects: listObjects(storage), ListObjectsV2: listObjectsV2(storage) }) satisfies Handlers
