/** Values of facets are kept and compared up to this many UTF-16 units. */
export const maxFacetChars = 1024

const separator = "\u001f"
const endOfRange = "\u{10ffff}"

/** SQLite ends a text at NUL when it compares patterns, and cannot hold half a surrogate pair: both become U+FFFD. */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd")
}

function cleanName(name: string): string {
  return cleanText(cut(name)).replaceAll(separator, "\ufffd")
}

function cut(value: string): string {
  return value.length > maxFacetChars ? value.slice(0, maxFacetChars) : value
}

/** One facet as it is kept and searched: its name and its value, cut and cleaned. */
export function term(name: string, value: string): string {
  return cleanName(name) + separator + cleanText(cut(value))
}

/** Where the terms that a pattern can match stand in order, and the pattern itself for SQLite's GLOB. */
export interface TermPattern {
  readonly from: string
  readonly before: string
  readonly glob: string
}

/** Reads a pattern of the API (`*`, `?`, and `\` before a literal one) for one facet name. */
export function termPattern(name: string, pattern: string): TermPattern {
  let prefix = cleanName(name) + separator
  let glob = escapeGlob(prefix)
  let literal = true
  let atLeastChars = 0
  const chars = Array.from(cleanText(pattern))
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? ""
    if (char !== "*") atLeastChars += 1
    if (char === "*" || char === "?") {
      literal = false
      // A run of stars means one star.
      if (char !== "*" || !glob.endsWith("*")) glob += char
      continue
    }
    const plain = char === "\\" && at + 1 < chars.length ? (chars[(at += 1)] ?? "") : char
    if (literal) prefix += plain
    glob += escapeGlob(plain)
  }
  // Longer than any value that is kept: matches nothing, and SQLite refuses patterns of 50,000 bytes.
  if (atLeastChars > maxFacetChars) return { from: prefix, before: prefix, glob: "" }
  return { from: prefix, before: prefix + endOfRange, glob }
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[]/g, "[$&]")
}

/** Reads the facets column of a resource: its terms. */
export function termList(text: string): readonly string[] {
  return JSON.parse(text)
}
