/**
 * Readers of documents (JSON, CBOR), compiled to closures once per structure: a plain tree in, the SDK's typed input out.
 * Rules: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html, .../aws-restjson1-protocol.html and
 * https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
 */
import { Fault } from "#lib/fault.ts"
import { shown } from "../protocols/form.ts"
import { CborTime } from "../protocols/cbor.ts"
import { checkOf } from "./constraints/check.ts"
import { rulesOf } from "./constraints/rules.ts"
import { type Broken, brokenBy, constraintFault } from "./missing.ts"
import { readBlob, readTimestamp } from "./scalars.ts"
import type { Shape } from "./shape.ts"

/** How values stand in a document: the members' names, and what JSON has no type for. */
export type Dialect = "json" | "jsonNames" | "cbor"

/** What is wrong with a document and its values is collected, so that all of it is said at once. */
export interface Reading {
  /** Paths of required members that are absent. */
  readonly missing: string[]
  /** Members that no schema names. */
  readonly unknown: Broken[]
  /** Values that break a rule of the model. */
  readonly broken: Broken[]
}
type Reader = (value: unknown, path: string, reading: Reading, depth: number) => unknown
type Struct = Extract<Shape, { kind: "struct" }>

/** Deeper than any model of AWS goes; only structures that contain themselves can be. */
const deepest = 64
const compiled: Record<Dialect, WeakMap<object, Reader>> = {
  json: new WeakMap(),
  jsonNames: new WeakMap(),
  cbor: new WeakMap(),
}

/** Reads a document of the shape. Throws SerializationException for a value of another type. */
export function documentReader(shape: Shape, dialect: Dialect): (document: unknown, reading: Reading) => unknown {
  const read = reader(shape, dialect)
  return (document, reading) => read(document, "", reading, 0)
}

/** Refuses what a reading found: members that are not known. What we do not know we do not do. */
export function refuseUnknown({ unknown }: Reading): void {
  if (unknown.length > 0) throw constraintFault(unknown)
}

function reader(shape: Shape, dialect: Dialect): Reader {
  switch (shape.kind) {
    case "struct":
      return structReader(shape, dialect)
    case "list":
      return listReader(reader(shape.element(), dialect))
    case "map":
      return mapReader(reader(shape.value(), dialect))
    case "string":
      return (value) => (typeof value === "string" ? value : refuse(value, "String"))
    case "boolean":
      return (value) => (typeof value === "boolean" ? value : refuse(value, "Boolean"))
    case "number":
      return (value) => (typeof value === "number" && Number.isFinite(value) ? value : refuse(value, "Number"))
    case "timestamp":
      return timestampReader(shape.format, dialect)
    case "blob":
      return dialect === "cbor"
        ? (value) => (value instanceof Uint8Array ? value : refuse(value, "Blob"))
        : (value, path) => (typeof value === "string" ? readBlob(value, path) : refuse(value, "Blob"))
    case "document":
      return (value) => value
    default:
      return (value) => value
  }
}

function timestampReader(format: Extract<Shape, { kind: "timestamp" }>["format"], dialect: Dialect): Reader {
  if (dialect === "cbor")
    return (value) => (value instanceof CborTime ? readSeconds(value.seconds) : refuse(value, "Timestamp"))
  if (format !== undefined && format !== "epoch-seconds")
    return (value, path) =>
      typeof value === "string" ? readTimestamp(value, path, format) : refuse(value, "Timestamp")
  return (value) => (typeof value === "number" ? readSeconds(value) : refuse(value, "Timestamp"))
}

function readSeconds(seconds: number): Date {
  const date = new Date(Math.round(seconds * 1000))
  return Number.isNaN(date.getTime()) ? refuse(seconds, "Timestamp") : date
}

/** Compiled on first use, so that structures that contain themselves end. */
function structReader(shape: Struct, dialect: Dialect): Reader {
  const known = compiled[dialect].get(shape.identity)
  if (known) return known
  let read: Reader | undefined
  const lazy: Reader = (value, path, reading, depth) => {
    read ??= compileStruct(shape, dialect)
    return read(value, path, reading, depth)
  }
  compiled[dialect].set(shape.identity, lazy)
  return lazy
}

function compileStruct(shape: Struct, dialect: Dialect): Reader {
  const rules = rulesOf(shape)
  const members = shape.members().map((member) => ({
    name: member.name,
    key: (dialect === "jsonNames" ? member.names.jsonName : undefined) ?? member.name,
    required: member.required,
    read: reader(member.shape, dialect),
    check: checkOf(rules[member.name]),
    whole: rules[member.name]?.whole === true,
  }))
  const byKey = new Map(members.map((member) => [member.key, member]))
  const required = members.filter((member) => member.required)
  return (value, path, reading, depth) => {
    if (!isRecord(value)) return refuse(value, "Structure")
    if (depth > deepest) throw serialization("The document is nested too deeply")
    const input: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const member = byKey.get(key)
      // "__type" may stand in any structure of a JSON document and says nothing.
      if (item === null || item === undefined || key === "__type") continue
      if (member) {
        const at = below(path, key)
        const read = member.read(item, at, reading, depth + 1)
        if (member.whole && !Number.isInteger(read)) refuse(read, "Integer")
        input[member.name] = read
        const found = member.check?.(read)
        if (found) reading.broken.push(brokenBy(at, found))
      } else reading.unknown.push({ path: below(path, key), value: null, constraint: "Member must be a known one" })
    }
    for (const member of required) {
      if (input[member.name] === undefined) reading.missing.push(below(path, member.key))
    }
    if (shape.isUnion && Object.keys(input).length !== 1) throw serialization("A union holds exactly one member")
    return input
  }
}

function listReader(element: Reader): Reader {
  return (value, path, reading, depth) => {
    if (!Array.isArray(value)) return refuse(value, "List")
    return value.map((item, index) => element(item, `${path}.${index + 1}.member`, reading, depth + 1))
  }
}

function mapReader(read: Reader): Reader {
  return (value, path, reading, depth) => {
    if (!isRecord(value)) return refuse(value, "Map")
    const entries = Object.entries(value).filter(([, item]) => item !== null)
    // fromEntries makes "__proto__" a key like any other.
    return Object.fromEntries(
      entries.map(([key, item]) => [key, read(item, below(path, shown(key)), reading, depth + 1)]),
    )
  }
}

const below = (path: string, name: string) => (path === "" ? name : `${path}.${name}`)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof CborTime)

function refuse(value: unknown, expected: string): never {
  if (Array.isArray(value)) throw serialization("Start of list found where not expected")
  if (isRecord(value)) throw serialization("Start of structure or map found where not expected.")
  const kind = value === null ? "NULL" : typeof value === "boolean" ? String(value).toUpperCase() : kindOf(value)
  throw serialization(`${kind}_VALUE can not be converted to a ${expected}`)
}

function kindOf(value: unknown): string {
  if (value instanceof CborTime) return "TIMESTAMP"
  return value instanceof Uint8Array ? "BLOB" : (typeof value).toUpperCase()
}

function serialization(message: string): Fault {
  return new Fault("SerializationException", message)
}
