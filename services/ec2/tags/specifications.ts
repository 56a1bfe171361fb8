/** Tag-on-create: the TagSpecifications of an operation that makes something. */
import type { Tag } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { type GivenTag, readTags } from "./rules.ts"

export interface GivenTagSpecification {
  readonly ResourceType?: string | undefined
  readonly Tags?: readonly GivenTag[] | undefined
}

/**
 * Tags for a new resource of type `resourceType` ("instance"). `allowed` are all types the operation makes; another one in the
 * request is InvalidParameterValue, as are bad tags of any type given, so call it before anything is done.
 */
export function tagsFor(
  specifications: readonly GivenTagSpecification[] | undefined,
  resourceType: string,
  allowed: readonly string[] = [resourceType],
): readonly Tag[] {
  const seen = new Set<string>()
  let found: readonly Tag[] = []
  for (const { ResourceType: type, Tags } of specifications ?? []) {
    if (type === undefined || type === "") throw invalid("Tag specification resource type must have a value")
    if (!allowed.includes(type)) throw invalid(`'${type}' is not a valid taggable resource type for this operation.`)
    if (seen.has(type))
      throw invalid("The same resource type may not be specified more than once in tag specifications")
    if (Tags === undefined || Tags.length === 0) throw invalid("Tag specification must have at least one tag")
    seen.add(type)
    const tags = readTags(Tags)
    if (type === resourceType) found = tags
  }
  return found
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
