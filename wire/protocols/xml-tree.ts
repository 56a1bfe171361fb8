/**
 * A request's XML as a tree. Ours, since a request needs little of XML and what it does not need is what attacks are made of: no
 * document types, so no entities but the five, no processing instructions, and a depth.
 */
import { Fault } from "#lib/fault.ts"

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string
  /** "xsi:type" -> value, with prefixes as written; without xmlns. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** All text directly within, as one. */
  readonly text: string
}

interface Building {
  readonly tag: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: XmlElement[]
  text: string
}

const deepest = 32
const mostElements = 20_000

/** Throws MalformedXML, as S3 says it. */
export function parseXml(bytes: Buffer): XmlElement {
  const text = decode(bytes)
  const open: Building[] = []
  let root: XmlElement | undefined
  let elements = 0
  // Sticky: each match begins where the last one ended.
  const token =
    /<\?xml[^?<>]{0,200}\?>|<!--(?:[^-]|-[^-]){0,1000}-->|<!\[CDATA\[([\s\S]*?)\]\]>|<\/([^\s<>/]{1,128})\s*>|<([A-Za-z_][^\s<>/="']{0,127})((?:\s+[^\s<>/="']{1,128}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y
  while (token.lastIndex < text.length) {
    const match = token.exec(text)
    if (!match) throw malformed()
    const [, cdata, closed, opened, attributes = "", empty, characters] = match
    const current = open.at(-1)
    if (opened !== undefined) {
      if (root || open.length >= deepest || ++elements > mostElements) throw malformed()
      const element = { tag: opened, attributes: readAttributes(attributes), children: [], text: "" }
      if (empty === "/") root = attach(element, current)
      else open.push(element)
    } else if (closed !== undefined) {
      if (current?.tag !== closed) throw malformed()
      open.pop()
      root = attach(current, open.at(-1))
    } else if (current) current.text += cdata ?? (characters === undefined ? "" : unescapeXml(characters))
    else if (cdata !== undefined || (characters ?? "").trim() !== "") throw malformed()
  }
  if (!root || open.length > 0) throw malformed()
  return root
}

/** Puts a finished element into its parent; gives it back when it is the root. */
function attach({ tag, attributes, children, text }: Building, parent: Building | undefined): XmlElement | undefined {
  const element = { name: tag.slice(tag.indexOf(":") + 1), attributes, children, text }
  if (!parent) return element
  parent.children.push(element)
  return undefined
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const [, name = "", double, single] of text.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    if (attributes.has(name)) throw malformed()
    if (name !== "xmlns" && !name.startsWith("xmlns:")) attributes.set(name, unescapeXml(double ?? single ?? ""))
  }
  return attributes
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  if (!text.includes("&")) return text
  return text.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    if (!whole.endsWith(";")) throw malformed()
    if (Object.hasOwn(entities, name)) return entities[name] ?? ""
    const code = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
    const point = code?.[1] ? Number.parseInt(code[1], 16) : Number(code?.[2] ?? Number.NaN)
    if (!(point > 0 && point <= 0x10ffff) || (point >= 0xd800 && point < 0xe000)) throw malformed()
    return String.fromCodePoint(point)
  })
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw malformed()
  }
}

/** S3's own words. */
export function malformed(): Fault {
  return new Fault(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
  )
}
