/** What ansible and the SDK show, written alike. */

/**
 * Members by their letters and digits in small ones: "ImageId" and "image_id" are one. Lists of tags, and what ansible makes of them, become
 * members by key, whose names stay as they are.
 */
export function alike(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(alike)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, each]) => {
        const plain = name.replaceAll("_", "").toLowerCase()
        if (plain === "tags" || plain === "tagset") return [plain, tagsOf(each)] as const
        // ansible makes up its own.
        return [plain, plain === "clienttoken" ? "<token>" : alike(each)] as const
      })
      .filter(([, each]) => each !== undefined),
  )
}

type Tags = readonly { readonly Key: string; readonly Value: string }[] | Readonly<Record<string, string>>

/** No tags are no member. */
function tagsOf(tags: unknown): unknown {
  const pairs = Array.isArray(tags)
    ? (tags as Extract<Tags, readonly unknown[]>).map(({ Key, Value }) => [Key, Value] as const)
    : Object.entries(tags as Extract<Tags, Readonly<Record<string, string>>>)
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs)
}
