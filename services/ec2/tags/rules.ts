/**
 * What a tag may be. Follows "Tag restrictions" of the EC2 user guide: at most 50 tags on a resource, keys of 1 to 128 and values of
 * up to 256 characters, any character, `aws:` reserved. Control characters are refused: an XML answer could not carry them.
 */
import type { Tag } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"

export const maxTags = 50
const maxKeyLength = 128
const maxValueLength = 256

export interface GivenTag {
  readonly Key?: string | undefined
  readonly Value?: string | undefined
}

/** Throws InvalidParameterValue for a tag that cannot be put on anything. `reserved`: those that the system makes will do too. */
export function readTag({ Key: key, Value: value }: GivenTag, reserved = false): Tag {
  checkKey(key, reserved)
  if (value === undefined) throw invalid("Tag value cannot be null. Use empty string instead.")
  if (lengthOf(value) > maxValueLength)
    throw invalid(`Tag value exceeds the maximum length of ${maxValueLength} characters`)
  if (hasControl(value)) throw invalid(`Value ( ${key} ) for parameter value is invalid. It holds control characters`)
  return { key, value }
}

/** Throws InvalidParameterValue for a key that no user's tag can have. */
export function checkKey(key: string | undefined, reserved = false): asserts key is string {
  if (key === undefined || key === "") throw invalid("Tag key cannot be empty")
  if (lengthOf(key) > maxKeyLength) throw invalid(`Tag key exceeds the maximum length of ${maxKeyLength} characters`)
  if (!reserved && isReserved(key))
    throw invalid(
      `Value ( ${key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use`,
    )
  if (hasControl(key)) throw invalid("Value for parameter key is invalid. It holds control characters")
}

/** Reads a list of tags: each key once, not more than a resource may have. */
export function readTags(given: readonly GivenTag[]): readonly Tag[] {
  const seen = new Set<string>()
  const tags = given.map((tag) => readTag(tag))
  for (const { key } of tags) {
    if (seen.has(key)) throw invalid(`Duplicate tag key '${key}' specified.`)
    seen.add(key)
  }
  if (tags.length > maxTags) throw raise("TagLimitExceeded")
  return tags
}

/** Tags that the system made; users neither set nor delete them. */
export function isReserved(key: string): boolean {
  return key.toLowerCase().startsWith("aws:")
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
const lengthOf = (text: string) => Array.from(text).length

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]/.test(text) || !text.isWellFormed()
}
