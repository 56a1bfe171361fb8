/** Conditions and ranges of requests, as RFC 9110 has them and S3 answers them. */
import type { StoredObject } from "#engine/objects/types.ts"
import { raise } from "./errors.ts"
import { metaOf, wholeSeconds } from "./meta.ts"

export interface Conditions {
  readonly match?: string | undefined
  readonly noneMatch?: string | undefined
  readonly modifiedSince?: Date | undefined
  readonly unmodifiedSince?: Date | undefined
}

const isTag = (tags: string, etag: string) =>
  tags.trim() === "*" ||
  tags.split(",").some((each) => each.trim().replace(/^W\//, "").replaceAll('"', "") === etag.replaceAll('"', ""))

/** Throws PreconditionFailed, and NotModified or, for a copy's source, PreconditionFailed too. */
export function requireConditions(object: StoredObject, wanted: Conditions, isCopy = false): void {
  const { etag } = metaOf(object)
  const atMs = wholeSeconds(object.modifiedMs)
  if (wanted.match !== undefined) {
    if (!isTag(wanted.match, etag)) throw raise("PreconditionFailed")
  } else if (wanted.unmodifiedSince && atMs > wanted.unmodifiedSince.getTime()) throw raise("PreconditionFailed")
  const same =
    wanted.noneMatch === undefined
      ? wanted.modifiedSince !== undefined && atMs <= wanted.modifiedSince.getTime()
      : isTag(wanted.noneMatch, etag)
  if (same) throw raise(isCopy ? "PreconditionFailed" : "NotModified")
}

interface WriteConditions {
  readonly IfMatch?: string | undefined
  readonly IfNoneMatch?: string | undefined
}

/** The guard of a write: sees what stands there now. Throws PreconditionFailed, NoSuchKey, and InvalidArgument at once. */
export function writeGuard({ IfMatch, IfNoneMatch }: WriteConditions): (now: StoredObject | undefined) => void {
  if (IfNoneMatch !== undefined && IfNoneMatch.trim() !== "*")
    throw raise("NotImplemented", { operation: "A write with If-None-Match other than *" })
  return (now) => {
    if (IfNoneMatch !== undefined && now) throw raise("PreconditionFailed")
    if (IfMatch === undefined) return
    if (!now) throw raise("NoSuchKey")
    if (!isTag(IfMatch, metaOf(now).etag)) throw raise("PreconditionFailed")
  }
}

export interface Range {
  readonly from: number
  /** Not included. */
  readonly to: number
}

/** The range that is asked for; undefined for all of it, also where S3 takes no notice of what is written. Throws InvalidRange. */
export function readRange(text: string | undefined, sizeBytes: number): Range | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text?.trim() ?? "") ?? []
  if (first === "" && last === "") return undefined
  if (first === "") {
    const from = Math.max(0, sizeBytes - Number(last))
    if (Number(last) === 0 || sizeBytes === 0) throw raise("InvalidRange")
    return { from, to: sizeBytes }
  }
  const from = Number(first)
  if (last !== "" && Number(last) < from) return undefined
  if (from >= sizeBytes) throw raise("InvalidRange")
  return { from, to: last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1) }
}
