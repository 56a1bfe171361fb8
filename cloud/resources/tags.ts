/**
 * Tags stand in the record of what they tag, and once more as resources of their own kind, owned by it, so that DescribeTags
 * is one query. This file keeps the second in step with the first; nobody else writes kind "tag".
 */
import type { PutResource, Reference } from "#store/types.ts"
import type { Resource, Tag, Tagged } from "./kind.ts"

export const tagKind = "tag"

export interface TagChange {
  readonly put: readonly PutResource[]
  readonly remove: readonly string[]
  readonly link: readonly Reference[]
}

const tagId = (resource: string, key: string) => `tag:${resource}:${key}`

/** What has to change among the tag resources when `before` becomes `after`. */
export function tagPuts(before: Resource | undefined, after: Resource): TagChange {
  const old = new Map((before?.record.tags ?? []).map((tag) => [tag.key, tag.value]))
  const put: PutResource[] = []
  const link: Reference[] = []
  for (const tag of after.record.tags) {
    const was = old.get(tag.key)
    old.delete(tag.key)
    if (was === tag.value) continue
    const id = tagId(after.id, tag.key)
    put.push({
      id,
      kind: tagKind,
      account: after.account,
      region: after.region,
      schema: 1,
      record: { resource: after.id, resourceType: after.kind, key: tag.key, value: tag.value },
      facets: {
        key: [tag.key],
        value: [tag.value],
        "resource-id": [after.id],
        "resource-type": [after.kind],
        [`tag:${tag.key}`]: [tag.value],
      },
    })
    if (was === undefined) link.push({ from: id, to: after.id, role: "owned" })
  }
  return { put, remove: [...old.keys()].map((key) => tagId(after.id, key)), link }
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
