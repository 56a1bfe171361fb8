/**
 * KMS keys as EBS is told of them. Until KMS is done there is one in each account and region: aws/ebs, whose bytes the host makes and
 * keeps. Forms of a name follow "KmsKeyId" of EbsBlockDevice.
 */
import { createHash } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"

export interface KmsKey {
  /** What the host knows it by. */
  readonly id: string
  readonly arn: string
}

export const managedAlias = "alias/aws/ebs"

const arnOf = (call: Call, what: string) => `arn:aws:kms:${call.region}:${call.account}:${what}`

/** The AWS managed key for EBS. Its id follows from account and region: it is the same whenever it is looked at, with nothing stored. */
export function managedKey(call: Call): KmsKey {
  const hash = createHash("sha256").update(`aws/ebs ${call.account} ${call.region}`).digest("hex")
  const id = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5")
  return { id, arn: arnOf(call, `key/${id}`) }
}

/**
 * The key of this name: id, alias, ARN of either. EC2 accepts any name and ends what was to use it some time later; here a name that is no
 * key's is InvalidParameterValue at once.
 */
export function findKey(call: Call, name: string): KmsKey {
  const key = managedKey(call)
  if ([key.id, key.arn, managedAlias, arnOf(call, managedAlias)].includes(name)) return key
  throw raise("InvalidParameterValue", {
    detail: `Value (${name}) for parameter KmsKeyId is invalid. The key does not exist or cannot be used in this account and Region.`,
  })
}
