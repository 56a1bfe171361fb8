/** What S3 keeps of an object besides its bytes. */
import type { Tag } from "#cloud/resources/kind.ts"
import type { Meta, StoredObject } from "#engine/objects/types.ts"
import type { Checksums } from "./checksums.ts"
import { raise } from "./errors.ts"

export interface ObjectMeta {
  /** With its quotes. */
  readonly etag: string
  readonly contentType: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentEncoding?: string
  readonly contentLanguage?: string
  /** As it was sent. */
  readonly expires?: string
  readonly user: Readonly<Record<string, string>>
  /** Absent for none. */
  readonly tags?: readonly Tag[]
  readonly checksums: Checksums
  readonly checksumType?: "FULL_OBJECT"
}

interface Headers {
  readonly CacheControl?: string | undefined
  readonly ContentDisposition?: string | undefined
  readonly ContentEncoding?: string | undefined
  readonly ContentLanguage?: string | undefined
  readonly ContentType?: string | undefined
  readonly Expires?: Date | undefined
  readonly Metadata?: Readonly<Record<string, string>> | undefined
}

const usualType = "binary/octet-stream"
const mostUserBytes = 2048

/** S3 takes 8 KB of headers, and so no answer repeats more: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html */
const mostHeaderBytes = 8192

/** Throws RequestHeaderSectionTooLarge for values that make more than a client reads of an answer's headers. */
export function checkHeaders(...values: readonly (string | undefined)[]): void {
  const sizeBytes = values.reduce((sum, value = "") => sum + Buffer.byteLength(value), 0)
  if (sizeBytes > mostHeaderBytes) throw raise("RequestHeaderSectionTooLarge")
}

/** What an upload's headers say. Throws MetadataTooLarge and RequestHeaderSectionTooLarge. */
export function readMeta(input: Headers): Omit<ObjectMeta, "etag" | "checksums"> {
  const user = input.Metadata ?? {}
  const sizeBytes = Object.entries(user).reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0)
  if (sizeBytes > mostUserBytes) throw raise("MetadataTooLarge")
  checkHeaders(
    input.CacheControl,
    input.ContentDisposition,
    input.ContentEncoding,
    input.ContentLanguage,
    input.ContentType,
  )
  // How it was sent is not what it is.
  const encoding = input.ContentEncoding?.split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "aws-chunked" && each !== "")
  return {
    contentType: input.ContentType ?? usualType,
    user,
    ...(input.CacheControl === undefined ? {} : { cacheControl: input.CacheControl }),
    ...(input.ContentDisposition === undefined ? {} : { contentDisposition: input.ContentDisposition }),
    ...(encoding === undefined || encoding.length === 0 ? {} : { contentEncoding: encoding.join(",") }),
    ...(input.ContentLanguage === undefined ? {} : { contentLanguage: input.ContentLanguage }),
    ...(input.Expires === undefined ? {} : { expires: input.Expires.toUTCString() }),
  }
}

export const toMeta = (meta: ObjectMeta) => meta as unknown as Meta
export const metaOf = ({ meta }: StoredObject) => meta as unknown as ObjectMeta

/** Times in headers have no milliseconds: what is compared with them has none either. */
export const wholeSeconds = (atMs: number) => Math.floor(atMs / 1000) * 1000
