/** Wildcards of filter values, in memory: `*` any run, `?` one character, `\` takes the next one as it is. */

/** True when the value holds a wildcard or an escape, so that an exact compare would be wrong. */
export function hasWildcard(value: string): boolean {
  return /[*?\\]/.test(value)
}

/** True when `text` matches `pattern`. Runs in time linear to text times pattern: patterns come from requests. */
export function matches(pattern: string, text: string): boolean {
  const tokens = tokenize(pattern)
  let t = 0
  let p = 0
  let star = -1
  let mark = 0
  while (t < text.length) {
    const token = tokens[p]
    if (token === any) {
      star = p++
      mark = t
    } else if (token !== undefined && (token === one || token === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++mark
    } else return false
  }
  while (tokens[p] === any) p++
  return p === tokens.length
}

const any = Symbol("any run")
const one = Symbol("one character")

function tokenize(pattern: string): readonly (string | symbol)[] {
  const tokens: (string | symbol)[] = []
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string
    if (c === "*") tokens.push(any)
    else if (c === "?") tokens.push(one)
    else if (c === "\\" && i + 1 < pattern.length) tokens.push(pattern[++i] as string)
    else tokens.push(c)
  }
  return tokens
}
