/** Transcripts of different runs made comparable: what differs between any two clouds becomes a placeholder. */

/** What a value is replaced by: its name and the number of its first appearance, or the name alone for what has no identity. */
const patterns: readonly (readonly [name: string, pattern: RegExp, numbered: boolean])[] = [
  ["key-material", /-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----\n?/g, false],
  ["time", /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d| GMT)/g, false],
  ["uuid", /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, true],
  ["mac", /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, true],
  // Also within names: ip-172-31-0-1.ec2.internal.
  ["address", /\b(?:172[.-]31|198[.-]1[89])(?:[.-]\d{1,3}){2}\b(?!\/(?:16|20))/g, true],
  ["", /\b[a-z][a-z-]*-[0-9a-f]{17}\b/g, true],
]

/**
 * Members sorted, ids, times, addresses and key material replaced. `fingerprint` members have no form of their own and go by name.
 * The same value gets the same placeholder in the whole transcript, so that what belongs together is still seen to.
 */
export function normalise(transcript: unknown): unknown {
  const seen = new Map<string, string>()
  const counts = new Map<string, number>()
  const placeholder = (name: string, value: string): string => {
    const kind = name === "" ? value.slice(0, value.lastIndexOf("-")) : name
    const key = name === "address" ? value.replaceAll("-", ".") : value
    const known = seen.get(key)
    if (known !== undefined) return known
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    seen.set(key, `<${kind} ${count}>`)
    return `<${kind} ${count}>`
  }
  const text = (value: string) => {
    let changed = value
    for (const [name, pattern, numbered] of patterns)
      changed = changed.replace(pattern, (found) => (numbered ? placeholder(name, found) : `<${name}>`))
    return changed
  }
  const walk = (value: unknown, member: string): unknown => {
    if (typeof value === "string") return member === "KeyFingerprint" ? "<fingerprint>" : text(value)
    if (Array.isArray(value)) return value.map((each) => walk(each, member))
    if (typeof value !== "object" || value === null) return value
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(entries.map(([name, each]) => [name, walk(each, name)]))
  }
  return walk(transcript, "")
}
