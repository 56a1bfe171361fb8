/** Writers of documents (JSON, CBOR), compiled to closures once per structure: the SDK's typed output in, a plain tree out. */
import { CborTime } from "../protocols/cbor.ts"
import type { Shape, TimestampFormat } from "./shape.ts"
import type { Dialect } from "./value-reader.ts"
import { timestamp } from "./writer.ts"

/** A value as the codec takes it: JSON.stringify, or encodeCbor. Throws TypeError for values that are not of the schema. */
export type DocumentWriter = (value: unknown) => unknown
type Struct = Extract<Shape, { kind: "struct" }>

const compiled: Record<Dialect, WeakMap<object, DocumentWriter>> = {
  json: new WeakMap(),
  jsonNames: new WeakMap(),
  cbor: new WeakMap(),
}

export function documentWriter(shape: Shape, dialect: Dialect): DocumentWriter {
  switch (shape.kind) {
    case "struct":
      return structWriter(shape, dialect)
    case "list": {
      const write = documentWriter(shape.element(), dialect)
      return (value) => (value as readonly unknown[]).filter(isThere).map((item) => write(item))
    }
    case "map": {
      const write = documentWriter(shape.value(), dialect)
      return (value) =>
        Object.fromEntries(
          Object.entries(value as object).flatMap(([key, item]) => (isThere(item) ? [[key, write(item)]] : [])),
        )
    }
    case "number":
      return finite
    case "timestamp":
      return timeWriter(shape.format, dialect)
    case "blob":
      return dialect === "cbor" ? (value) => value : (value) => Buffer.from(value as Uint8Array).toString("base64")
    case "string":
      return (value) => String(value)
    case "boolean":
      return (value) => value === true
    default:
      return (value) => value
  }
}

const isThere = (value: unknown) => value !== undefined && value !== null

function timeWriter(format: TimestampFormat | undefined, dialect: Dialect): DocumentWriter {
  if (dialect === "cbor") return (value) => new CborTime((value as Date).getTime() / 1000)
  if (format !== undefined && format !== "epoch-seconds") return (value) => timestamp(value as Date, format)
  return (value) => finite((value as Date).getTime() / 1000)
}

function finite(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError(`${String(value)} is no number`)
  return value
}

/** Compiled on first use, so that structures that contain themselves end. */
function structWriter(shape: Struct, dialect: Dialect): DocumentWriter {
  const known = compiled[dialect].get(shape.identity)
  if (known) return known
  let write: DocumentWriter | undefined
  const lazy: DocumentWriter = (value) => (write ??= compileStruct(shape, dialect))(value)
  compiled[dialect].set(shape.identity, lazy)
  return lazy
}

function compileStruct(shape: Struct, dialect: Dialect): DocumentWriter {
  const members = shape.members().map((member) => ({
    name: member.name,
    key: (dialect === "jsonNames" ? member.names.jsonName : undefined) ?? member.name,
    write: documentWriter(member.shape, dialect),
  }))
  return (value) => {
    const given = value as Readonly<Record<string, unknown>>
    const document: Record<string, unknown> = {}
    for (const { name, key, write } of members) {
      const item = given[name]
      if (isThere(item)) document[key] = write(item)
    }
    return document
  }
}
