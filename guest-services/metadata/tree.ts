/** The tree under a version: files are the keys, directories follow from them. */

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "listing"; readonly text: string }

/** Names below `directory` ("" or "meta-data/"), directories with a slash, in the order of the documentation: by name. */
function children(tree: Readonly<Record<string, string>>, directory: string): string[] {
  const names = new Set<string>()
  for (const key of Object.keys(tree)) {
    if (!key.startsWith(directory) || key.length === directory.length) continue
    const rest = key.slice(directory.length)
    const slash = rest.indexOf("/")
    names.add(slash === -1 ? rest : rest.slice(0, slash + 1))
  }
  return [...names].toSorted()
}

/**
 * What stands at `path` (no leading slash). A directory answers with or without a slash at its end, a file only without.
 * A key that ends in "/" is that directory's listing, word for word.
 */
export function lookUp(tree: Readonly<Record<string, string>>, path: string): Node | undefined {
  if (!path.endsWith("/") && Object.hasOwn(tree, path)) return { kind: "text", text: tree[path] ?? "" }
  const directory = path === "" || path.endsWith("/") ? path : `${path}/`
  if (directory !== "" && Object.hasOwn(tree, directory)) return { kind: "listing", text: tree[directory] ?? "" }
  const names = children(tree, directory)
  return names.length === 0 ? undefined : { kind: "listing", text: names.join("\n") }
}
