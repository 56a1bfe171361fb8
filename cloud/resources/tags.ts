/**
 * Tags stand in the record of what they tag, and once more as resources of their own kind, owned by it, so that DescribeTags
 * is one query. This file keeps the second in step with the first; nobody else writes kind "tag".
 */
import type { PutResource, Reference } from "#store/types.ts"
import type { Resource, Tag } from "./kind.ts"

export const tagKind = "tag"

export interface TagChange {
  readonly put: readonly PutResource[]
  readonly remove: readonly string[]
  readonly link: readonly Reference[]
}

const tagId = (resource: string, key: string) => `tag:${resource}:${key}`

/** Anything with tags of its own that lives in a resource's record: the resource itself, or a rule in its group. */
export interface TaggedPart {
  readonly id: string
  readonly kind: string
  readonly tags: readonly Tag[]
}

/** What has to change among the tag resources when a resource's tagged parts go from `before` to `after`. */
export function tagPuts(owner: Resource, before: readonly TaggedPart[], after: readonly TaggedPart[]): TagChange {
  const old = new Map(before.flatMap((part) => part.tags.map((tag) => [tagId(part.id, tag.key), tag.value] as const)))
  const put: PutResource[] = []
  const link: Reference[] = []
  for (const part of after) {
    for (const tag of part.tags) {
      const id = tagId(part.id, tag.key)
      const was = old.get(id)
      old.delete(id)
      if (was === tag.value) continue
      put.push(tagPut(owner, part, tag, id))
      if (was === undefined) link.push({ from: id, to: owner.id, role: "owned" })
    }
  }
  return { put, remove: [...old.keys()], link }
}

function tagPut(owner: Resource, part: TaggedPart, tag: Tag, id: string): PutResource {
  return {
    id,
    kind: tagKind,
    account: owner.account,
    region: owner.region,
    schema: 1,
    record: { resource: part.id, resourceType: part.kind, key: tag.key, value: tag.value },
    facets: {
      key: [tag.key],
      value: [tag.value],
      "resource-id": [part.id],
      "resource-type": [part.kind],
      [`tag:${tag.key}`]: [tag.value],
    },
  }
}

/** The tags after adding `added` (same keys are replaced, order of first appearance kept). */
export function withTags(tags: readonly Tag[], added: readonly Tag[]): readonly Tag[] {
  const all = new Map(tags.map((tag) => [tag.key, tag.value]))
  for (const tag of added) all.set(tag.key, tag.value)
  return [...all].map(([key, value]) => ({ key, value }))
}

/** The tags without `removed`; one with a value is removed only if the value is the same. */
export function withoutTags(
  tags: readonly Tag[],
  removed: readonly { readonly key: string; readonly value?: string | undefined }[],
): readonly Tag[] {
  return tags.filter(
    (tag) => !removed.some((r) => r.key === tag.key && (r.value === undefined || r.value === tag.value)),
  )
}
