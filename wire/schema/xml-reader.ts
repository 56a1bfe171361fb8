/** Readers of XML requests, compiled to closures: an element's tree in, the SDK's typed input out. */
import { malformed, type XmlElement } from "../protocols/xml-tree.ts"
import { checkOf } from "./constraints/check.ts"
import { rulesOf } from "./constraints/rules.ts"
import { readTimestamp } from "./scalars.ts"
import type { Member, Names, Shape } from "./shape.ts"

type Struct = Extract<Shape, { kind: "struct" }>
/** All elements with the tag of a member, in order; at least one. */
type Reader = (elements: readonly XmlElement[]) => unknown

const compiled = new WeakMap<object, (element: XmlElement) => object>()

/** Reads an element that is a structure. Throws MalformedXML for what its schema does not have, or lacks, or has of another type. */
export function elementReader(shape: Shape): (element: XmlElement) => object {
  if (shape.kind !== "struct") throw new TypeError(`no document is a ${shape.kind}`)
  const known = compiled.get(shape.identity)
  if (known) return known
  let read: ((element: XmlElement) => object) | undefined
  const lazy = (element: XmlElement) => (read ??= compileStruct(shape))(element)
  compiled.set(shape.identity, lazy)
  return lazy
}

function compileStruct(shape: Struct): (element: XmlElement) => object {
  const rules = rulesOf(shape)
  const members = shape.members().map((member) => ({
    name: member.name,
    check: checkOf(rules[member.name]),
    required: member.required,
    tag: member.names.xmlName ?? member.name,
    read: memberReader(member),
  }))
  const byTag = new Map(members.map((member) => [member.tag, member]))
  return (element) => {
    if (element.children.length > 0 && element.text.trim() !== "") throw malformed()
    const input: Record<string, unknown> = {}
    for (const [tag, elements] of Map.groupBy(element.children, ({ name }) => name)) {
      const member = byTag.get(tag)
      if (!member) throw malformed()
      const value = member.read(elements)
      if (member.check?.(value)) throw malformed()
      input[member.name] = value
    }
    // A type of a grantee is an attribute, "xsi:type"; all else is elements.
    for (const [name, value] of element.attributes) {
      const member = byTag.get(name)
      if (!member) throw malformed()
      input[member.name] = value
    }
    if (members.some(({ name, required }) => required && input[name] === undefined)) throw malformed()
    return input
  }
}

function memberReader({ shape, names }: Member): Reader {
  if (shape.kind === "list" && names.flat)
    return (elements) => elements.map(reader(shape.element(), shape.elementNames))
  const read = reader(shape, names)
  return (elements) => {
    const [only] = elements
    if (!only || elements.length > 1) throw malformed()
    return read(only)
  }
}

function reader(shape: Shape, _names: Names): (element: XmlElement) => unknown {
  if (shape.kind === "struct") return elementReader(shape)
  if (shape.kind === "list") {
    const tag = shape.elementNames.xmlName ?? "member"
    const read = reader(shape.element(), shape.elementNames)
    return ({ children }) =>
      children.map((child) => {
        if (child.name !== tag) throw malformed()
        return read(child)
      })
  }
  if (shape.kind === "map") throw new TypeError("no document of REST XML here holds a map")
  const parse = scalarReader(shape)
  return ({ children, text }) => {
    if (children.length > 0) throw malformed()
    return parse(text)
  }
}

function scalarReader(shape: Shape): (text: string) => unknown {
  switch (shape.kind) {
    case "boolean":
      return (text) => {
        const word = text.trim().toLowerCase()
        if (word !== "true" && word !== "false") throw malformed()
        return word === "true"
      }
    case "number":
      return (text) => {
        const value = /^-?\d{1,16}(\.\d{1,9})?$/.test(text.trim()) ? Number(text) : Number.NaN
        if (Number.isNaN(value)) throw malformed()
        return value
      }
    case "timestamp":
      return (text) => {
        try {
          return readTimestamp(text.trim(), "", shape.format ?? "date-time")
        } catch {
          throw malformed()
        }
      }
    case "blob":
      return (text) => new Uint8Array(Buffer.from(text, "base64"))
    default:
      return (text) => text
  }
}
