/** Types of S3's handlers, and what they share. */
import type * as S3 from "@aws-sdk/client-s3"
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import type { ObjectsEngine } from "#engine/objects/types.ts"
import type { Input as InputOf, Operation as OperationOf, Output as OutputOf } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"
import { bucketId, type BucketRecord, bucketKind } from "./record.ts"
import { raise } from "./errors.ts"

export type Operation = OperationOf<typeof S3>
export type Input<O extends Operation> = InputOf<typeof S3, O>
export type Output<O extends Operation> = OutputOf<typeof S3, O>
export type Handler<O extends Operation> = HandlerOf<typeof S3, O>
export type Handlers = HandlersOf<typeof S3>

export interface Storage {
  readonly objects: ObjectsEngine
  /** Spaces that are about to go: nothing is put there any more. */
  readonly closing: Set<string>
}

export type Bucket = Resource<BucketRecord>

/** The caller's bucket. Throws NoSuchBucket, AccessDenied for another's, and for another owner than the one expected. */
export async function requireBucket(
  call: Call,
  input: { readonly Bucket?: string | undefined; readonly ExpectedBucketOwner?: string | undefined },
): Promise<Bucket> {
  const id = bucketId(input.Bucket ?? "")
  const stored = (await call.store.getMany([id])).get(id)
  if (stored?.kind !== bucketKind.name) throw raise("NoSuchBucket")
  const bucket = fromStored<BucketRecord>(stored)
  const expected = input.ExpectedBucketOwner ?? bucket.account
  if (bucket.account !== call.account || bucket.account !== expected) throw raise("AccessDenied")
  call.authorize(`s3:${call.info.operation}`, bucket)
  return bucket
}

const longestKeyBytes = 1024

/** Throws KeyTooLongError and InvalidArgument. */
export function checkKey(key: string | undefined): string {
  if (key === undefined || key === "") throw raise("InvalidArgument", { detail: "A key must not be empty" })
  if (Buffer.byteLength(key) > longestKeyBytes) throw raise("KeyTooLongError")
  if (key.includes("\0")) throw raise("InvalidArgument", { detail: "A key must not hold NUL" })
  return key
}

const notDone = [
  "BucketKeyEnabled",
  "BypassGovernanceRetention",
  "GrantFullControl",
  "GrantRead",
  "GrantReadACP",
  "GrantWrite",
  "GrantWriteACP",
  "MFA",
  "ObjectLockEnabledForBucket",
  "ObjectLockEventHold",
  "ObjectLockLegalHoldStatus",
  "ObjectLockMode",
  "ObjectLockRetainUntilDate",
  "OptionalObjectAttributes",
  "PartNumber",
  "SSECustomerAlgorithm",
  "SSECustomerKey",
  "SSEKMSEncryptionContext",
  "SSEKMSKeyId",
  "ServerSideEncryption",
  "Tagging",
  "VersionId",
  "WebsiteRedirectLocation",
  "WriteOffsetBytes",
] as const

/** What this version does not do is refused by name: nothing is acknowledged and dropped. `takes` is done all the same. */
export function refuseNotDone(input: object, call: Call, ...takes: readonly string[]): void {
  const given = input as Readonly<Record<string, unknown> & { ACL?: string }>
  for (const name of notDone) {
    if (given[name] === undefined || given[name] === false || takes.includes(name)) continue
    throw raise("NotImplemented", { operation: `${call.info.operation} with ${name}` })
  }
  const acl = given.ACL
  if (acl !== undefined && acl !== "private" && acl !== "bucket-owner-full-control")
    throw raise("NotImplemented", { operation: `${call.info.operation} with the ACL ${acl}` })
  const storage = given["StorageClass"]
  if (storage !== undefined && storage !== "STANDARD") throw raise("InvalidStorageClass")
}

/** Who owns what an account has. */
export const ownerOf = (call: Call) => ({ ID: call.account, DisplayName: call.account })
