/**
 * Writers of XML answers, compiled to closures once per structure: the SDK's typed output in, text out.
 * Small parts are built as one string; long lists are cut into pieces, so that nobody waits for a large answer.
 */
import { dateTime, escapeXml } from "../protocols/xml.ts"
import type { Names, Shape, TimestampFormat } from "./shape.ts"

/** The text of a value, tags included. */
type Writer = (value: never) => string
/** A structure. Members are `never` so that each can be handed to the writer compiled for it. */
type Value = Readonly<Record<string, never>>
/** Appends to the sink and yields whenever it holds a piece. */
type PieceWriter<V> = (value: V, sink: Sink) => Generator<void, void, void>
export interface Sink {
  text: string
}

interface StructWriter {
  readonly text: (value: Value) => string
  readonly pieces: PieceWriter<Value>
  /** Has a list long enough to be cut, at any depth. */
  readonly isLong: (value: Value) => boolean
}
type Struct = Extract<Shape, { kind: "struct" }>

/** How much text is built before anybody else gets a turn: about half a millisecond of work. */
export const pieceCharacters = 64 * 1024
const longList = 16

const compiled = new WeakMap<object, StructWriter>()

/** The members of an operation's output, without a tag around them: yields when `sink.text` should be taken away. */
export function outputWriter(shape: Shape): PieceWriter<object> {
  if (shape.kind === "struct") {
    const { pieces } = structWriter(shape)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the compiler checks handlers against the schema's types
    return (value, sink) => pieces(value as Value, sink)
  }
  if (shape.kind !== "unit") throw new TypeError(`no output can be a ${shape.kind}`)
  // oxlint-disable-next-line no-empty-function
  return function* nothing() {}
}

/** Compiled on first use, so that structures that contain themselves end. */
function structWriter(shape: Struct): StructWriter {
  const known = compiled.get(shape.identity)
  if (known) return known
  let made: StructWriter | undefined
  const make = (): StructWriter => (made ??= compileStruct(shape))
  const lazy: StructWriter = {
    text: (value) => (made ?? make()).text(value),
    pieces: (value, sink) => (made ?? make()).pieces(value, sink),
    isLong: (value) => (made ?? make()).isLong(value),
  }
  compiled.set(shape.identity, lazy)
  return lazy
}

interface CompiledMember {
  readonly name: string
  readonly write: Writer
  /** Set for lists of structures and for structures: what may be long. */
  readonly nested: { readonly isLong: (value: never) => boolean; readonly pieces: PieceWriter<never> } | undefined
}

function compileStruct(shape: Struct): StructWriter {
  const members = shape.members().map((member): CompiledMember => {
    const tag = member.names.xmlName ?? member.name
    return {
      name: member.name,
      write: writer(member.shape, tag, member.names),
      nested: nestedPieces(member.shape, tag, member.names),
    }
  })
  const nested = members.filter((member) => member.nested)
  return {
    text(value) {
      let text = ""
      for (const member of members) {
        const item = value[member.name]
        if (item !== undefined && item !== null) text += member.write(item)
      }
      return text
    },
    *pieces(value, sink) {
      for (const member of members) {
        const item = value[member.name]
        if (item === undefined || item === null) continue
        if (member.nested?.isLong(item)) yield* member.nested.pieces(item, sink)
        else sink.text += member.write(item)
        if (sink.text.length >= pieceCharacters) yield
      }
    },
    isLong(value) {
      return nested.some((member) => {
        const item = value[member.name]
        return item !== undefined && item !== null && member.nested?.isLong(item)
      })
    },
  }
}

/** How to cut a member of a structure, if it is one that can be long. */
function nestedPieces(shape: Shape, tag: string, names: Names): CompiledMember["nested"] {
  if (shape.kind === "struct") {
    const inner = structWriter(shape)
    return { isLong: inner.isLong, pieces: (value: Value, sink: Sink) => around(tag, inner.pieces(value, sink), sink) }
  }
  if (shape.kind !== "list") return undefined
  const element = shape.element()
  if (element.kind !== "struct") return undefined
  const inner = structWriter(element)
  const elementTag = names.flat ? tag : (shape.elementNames.xmlName ?? "member")
  const elements: PieceWriter<readonly Value[]> = function* each(values, sink) {
    for (const value of values) {
      if (value === undefined || value === null) continue
      if (inner.isLong(value)) yield* around(elementTag, inner.pieces(value, sink), sink)
      else sink.text += `<${elementTag}>${inner.text(value)}</${elementTag}>`
      if (sink.text.length >= pieceCharacters) yield
    }
  }
  return {
    isLong: (values: readonly Value[]) =>
      values.length >= longList || values.some((value) => value && inner.isLong(value)),
    pieces: names.flat ? elements : (values: readonly Value[], sink: Sink) => around(tag, elements(values, sink), sink),
  }
}

function* around(tag: string, inner: Generator<void, void, void>, sink: Sink): Generator<void, void, void> {
  sink.text += `<${tag}>`
  yield* inner
  sink.text += `</${tag}>`
}

function writer(shape: Shape, tag: string, names: Names): Writer {
  const open = `<${tag}>`
  const close = `</${tag}>`
  switch (shape.kind) {
    case "struct": {
      const inner = structWriter(shape)
      return (value: Value) => open + inner.text(value) + close
    }
    case "list":
      return listWriter(shape, tag, names)
    case "map":
      return mapWriter(shape, tag, names)
    case "string":
      return (value: unknown) => open + escapeXml(String(value)) + close
    case "timestamp":
      return (value: Date) => open + timestamp(value, shape.format) + close
    case "number":
      return (value: unknown) => open + finite(value) + close
    case "boolean":
      return (value: unknown) => (value === true ? `${open}true${close}` : `${open}false${close}`)
    case "blob":
      return (value: Uint8Array) => open + Buffer.from(value).toString("base64") + close
    default:
      return () => open + close
  }
}

function listWriter(shape: Extract<Shape, { kind: "list" }>, tag: string, names: Names): Writer {
  const elementTag = names.flat ? tag : (shape.elementNames.xmlName ?? "member")
  const element = writer(shape.element(), elementTag, shape.elementNames)
  const elements = (values: readonly never[]): string => {
    let text = ""
    for (const value of values) if (value !== undefined && value !== null) text += element(value)
    return text
  }
  if (names.flat) return elements
  return (values: readonly never[]) => {
    const text = elements(values)
    return text === "" ? `<${tag}/>` : `<${tag}>${text}</${tag}>`
  }
}

function mapWriter(shape: Extract<Shape, { kind: "map" }>, tag: string, names: Names): Writer {
  const keyTag = shape.key.xmlName ?? "key"
  const value = writer(shape.value(), shape.valueNames.xmlName ?? "value", shape.valueNames)
  const entryTag = names.flat ? tag : "entry"
  return (map: Readonly<Record<string, never>>) => {
    let text = ""
    for (const [key, item] of Object.entries(map)) {
      if (item === undefined || item === null) continue
      text += `<${entryTag}><${keyTag}>${escapeXml(key)}</${keyTag}>${value(item)}</${entryTag}>`
    }
    return names.flat ? text : `<${tag}>${text}</${tag}>`
  }
}

function finite(value: unknown): string {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError(`${String(value)} is no number`)
  return String(value)
}

/** A time as it stands in XML, in a header or in a query. */
export function timestamp(value: Date, format: TimestampFormat = "date-time"): string {
  if (format === "date-time") return dateTime(value)
  return format === "http-date" ? value.toUTCString() : String(value.getTime() / 1000)
}
