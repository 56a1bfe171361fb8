/**
 * Edits one section of an AWS config or credentials file and no other byte of it.
 * Format: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html (INI; nested values are indented).
 */

const lineEnding = (text: string): string => (/\r\n/.test(text) ? "\r\n" : "\n")

const withoutEnding = (line: string): string => line.replace(/\r?\n$/, "")

/** `[profile "x"]` and `[profile x]` are the same section; names are compared as written otherwise. */
const sectionName = (line: string): string | undefined => {
  const match = /^\s*\[([^\]]*)\]/.exec(line)
  return match?.[1]
    ?.trim()
    .replace(/\s+/g, " ")
    .replace(/^profile (["'])(.*)\1$/, "profile $2")
}

const keyOf = (line: string): string | undefined => /^([^\s#;[=:][^=:]*?)\s*[=:]/.exec(line)?.[1]?.toLowerCase()

const isIndented = (line: string): boolean => /^[ \t]+\S/.test(line)

const isBlank = (line: string): boolean => line.trim() === ""

const checkValues = (values: Record<string, string | undefined>): void => {
  for (const [key, value] of Object.entries(values)) {
    if (!/^[a-z_]+$/.test(key) || (value !== undefined && /[\r\n]/.test(value))) throw new Error(`bad value of ${key}`)
  }
}

/** The section's own lines with our keys set (or taken out, where the value is undefined). */
const editSection = (body: readonly string[], values: Record<string, string | undefined>, ending: string): string[] => {
  const pending = new Map(Object.entries(values))
  const done = new Set<string>()
  const result: string[] = []
  for (let index = 0; index < body.length; index++) {
    const line = body[index] ?? ""
    const key = keyOf(line)
    if (key === undefined || !(pending.has(key) || done.has(key))) {
      result.push(line)
      continue
    }
    const value = pending.get(key)
    // A second line of the same key would make the whole file unreadable for botocore, so only the first stays.
    if (value !== undefined && !done.has(key)) {
      const same = withoutEnding(line).trimEnd() === `${key} = ${value}`
      result.push(same ? line : `${key} = ${value}${ending}`)
    }
    pending.delete(key)
    done.add(key)
    while (isIndented(body[index + 1] ?? "")) index++ // the old value went on over several lines
  }
  const added = [...pending].flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${value}${ending}`]))
  const last = result.findLastIndex((line) => !isBlank(line)) + 1
  result.splice(last, 0, ...added)
  return result
}

/**
 * The text with `values` set in the section `name`, which is appended when it is not there. A value of undefined takes
 * the key out. Comments, blank lines, other keys, other sections, their order and the kind of line ending stay.
 */
export const setInSection = (text: string, name: string, values: Record<string, string | undefined>): string => {
  checkValues(values)
  const ending = lineEnding(text)
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? []
  const last = lines.at(-1)
  const start = lines.findIndex((line) => sectionName(line) === name)
  if (
    last !== undefined &&
    !last.endsWith("\n") &&
    (start < 0 || lines.findLastIndex((l) => sectionName(l) !== undefined) === start)
  ) {
    lines[lines.length - 1] = `${last}${ending}`
  }
  if (start < 0) {
    const gap = lines.length > 0 && !isBlank(lines.at(-1) ?? "") ? [ending] : []
    return [...lines, ...gap, `[${name}]${ending}`, ...editSection([], values, ending)].join("")
  }
  const next = lines.findIndex((line, index) => index > start && sectionName(line) !== undefined)
  const end = next < 0 ? lines.length : next
  const body = editSection(lines.slice(start + 1, end), values, ending)
  return [...lines.slice(0, start + 1), ...body, ...lines.slice(end)].join("")
}

/** One value of a section, or undefined. */
export const valueInSection = (text: string, name: string, key: string): string | undefined => {
  let inside = false
  for (const line of text.split(/\r?\n/)) {
    const section = sectionName(line)
    if (section !== undefined) inside = section === name
    else if (inside && keyOf(line) === key) return line.slice(line.search(/[=:]/) + 1).trim()
  }
  return undefined
}
