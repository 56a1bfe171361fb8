/**
 * The SDK's schema tuples as plain shapes. The only file that imports @smithy/core, whose schema classes carry no
 * promise of stability: the version is pinned and the rest of the wire knows only `Shape`.
 */
import { NormalizedSchema } from "@smithy/core/schema"

export interface Names {
  /** Key in an ec2Query request, as modelled. */
  readonly ec2QueryName: string | undefined
  /** Tag in XML, and key in an awsQuery request. */
  readonly xmlName: string | undefined
  /** Elements stand directly in the parent, without a tag around them. */
  readonly flat: boolean
  /** Key in a REST JSON document. */
  readonly jsonName: string | undefined
}

/** Where in an HTTP message a member of a REST operation stands, when it is not in the document. `name` is the header, parameter or prefix. */
export interface Binding {
  readonly in: "label" | "query" | "queryParams" | "header" | "prefixHeaders" | "payload" | "responseCode"
  readonly name: string
}

export interface Member {
  readonly name: string
  readonly required: boolean
  readonly names: Names
  readonly shape: Shape
  readonly binding: Binding | undefined
}

/** A nested shape is a function, as structures may contain themselves. `identity` is the SDK's tuple: use it to cache. */
export type Shape =
  | {
      readonly kind: "struct"
      readonly identity: object
      readonly name: string
      /** "com.amazonaws.ec2" */
      readonly namespace: string
      /** Of a union, exactly one member is set. */
      readonly isUnion: boolean
      /** Tag of the structure where it is a whole document. */
      readonly xmlName: string | undefined
      readonly members: () => readonly Member[]
    }
  | { readonly kind: "list"; readonly element: () => Shape; readonly elementNames: Names }
  | {
      readonly kind: "map"
      readonly key: Names
      readonly value: () => Shape
      readonly valueNames: Names
    }
  /** Without a format, the protocol's own. */
  | { readonly kind: "timestamp"; readonly format: TimestampFormat | undefined }
  | { readonly kind: "blob"; readonly isStream: boolean }
  | { readonly kind: "string" | "number" | "boolean" | "document" | "unit" }

export type TimestampFormat = "date-time" | "http-date" | "epoch-seconds"

/** Input and output of an operation's tuple `[9, namespace, name, traits, input, output]`. Throws TypeError for others. */
export function operationShapes(schema: unknown): { readonly input: Shape; readonly output: Shape } {
  if (!Array.isArray(schema) || schema[0] !== 9) throw new TypeError("not an operation's schema")
  return { input: shapeOf(NormalizedSchema.of(schema[4])), output: shapeOf(NormalizedSchema.of(schema[5])) }
}

/** The `http` trait of a REST operation: `uri` is a template with its literal query ("/{Key+}?uploads"). Throws TypeError where there is none. */
export function operationHttp(schema: unknown): {
  readonly method: string
  readonly uri: string
  readonly status: number
} {
  const traits: unknown = Array.isArray(schema) ? schema[3] : undefined
  const http: unknown = typeof traits === "object" && traits !== null && "http" in traits ? traits.http : undefined
  if (!Array.isArray(http)) throw new TypeError("not a REST operation's schema")
  return { method: String(http[0]), uri: String(http[1]), status: Number(http[2]) }
}

function shapeOf(schema: NormalizedSchema): Shape {
  if (schema.isStructSchema()) return structOf(schema)
  if (schema.isListSchema()) {
    const element = schema.getValueSchema()
    return { kind: "list", element: () => shapeOf(element), elementNames: namesOf(element) }
  }
  if (schema.isMapSchema()) {
    const value = schema.getValueSchema()
    return {
      kind: "map",
      key: namesOf(schema.getKeySchema()),
      value: () => shapeOf(value),
      valueNames: namesOf(value),
    }
  }
  if (schema.isTimestampSchema()) return { kind: "timestamp", format: timestampFormat(schema.getSchema()) }
  if (schema.isStringSchema()) return { kind: "string" }
  if (schema.isNumericSchema()) return { kind: "number" }
  if (schema.isBooleanSchema()) return { kind: "boolean" }
  if (schema.isBlobSchema()) return { kind: "blob", isStream: schema.isStreaming() }
  if (schema.isUnitSchema()) return { kind: "unit" }
  if (schema.isDocumentSchema()) return { kind: "document" }
  throw new TypeError(`no protocol here carries ${schema.getName(true)}`)
}

function structOf(schema: NormalizedSchema): Shape {
  const tuple: unknown = schema.getSchema()
  if (!Array.isArray(tuple)) throw new TypeError("not a structure's schema")
  const requiredCount = Number(tuple[6] ?? 0)
  return {
    kind: "struct",
    identity: tuple,
    name: String(tuple[2]),
    namespace: String(tuple[1]),
    isUnion: schema.isUnionSchema(),
    xmlName: textOf(schema.getOwnTraits().xmlName),
    members: () =>
      [...schema.structIterator()].map(([name, member], index) => ({
        name,
        required: index < requiredCount,
        names: namesOf(member),
        shape: shapeOf(member),
        binding: bindingOf(member),
      })),
  }
}

function namesOf(schema: NormalizedSchema): Names {
  const { ec2QueryName, xmlName, xmlFlattened, jsonName } = schema.getMergedTraits()
  return {
    ec2QueryName: textOf(ec2QueryName),
    xmlName: textOf(xmlName),
    flat: Boolean(xmlFlattened),
    jsonName: textOf(jsonName),
  }
}

function bindingOf(schema: NormalizedSchema): Binding | undefined {
  const traits = schema.getMergedTraits()
  const { httpQuery, httpHeader, httpPrefixHeaders } = traits
  if (traits.httpLabel) return { in: "label", name: schema.getMemberName() }
  if (typeof httpQuery === "string") return { in: "query", name: httpQuery }
  if (typeof httpHeader === "string") return { in: "header", name: httpHeader.toLowerCase() }
  if (typeof httpPrefixHeaders === "string") return { in: "prefixHeaders", name: httpPrefixHeaders.toLowerCase() }
  if (traits.httpQueryParams) return { in: "queryParams", name: "" }
  if (traits.httpPayload) return { in: "payload", name: "" }
  return traits.httpResponseCode ? { in: "responseCode", name: "" } : undefined
}

function textOf(trait: unknown): string | undefined {
  return typeof trait === "string" ? trait : undefined
}

function timestampFormat(id: unknown): TimestampFormat | undefined {
  if (id === 6) return "http-date"
  if (id === 7) return "epoch-seconds"
  return id === 5 ? "date-time" : undefined
}
