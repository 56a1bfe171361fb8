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
}

export interface Member {
  readonly name: string
  readonly required: boolean
  readonly names: Names
  readonly shape: Shape
}

/** A nested shape is a function, as structures may contain themselves. `identity` is the SDK's tuple: use it to cache. */
export type Shape =
  | {
      readonly kind: "struct"
      readonly identity: object
      readonly name: string
      readonly members: () => readonly Member[]
    }
  | { readonly kind: "list"; readonly element: () => Shape; readonly elementNames: Names }
  | {
      readonly kind: "map"
      readonly key: Names
      readonly value: () => Shape
      readonly valueNames: Names
    }
  | { readonly kind: "timestamp"; readonly format: TimestampFormat }
  | { readonly kind: "string" | "number" | "boolean" | "blob" | "unit" }

export type TimestampFormat = "date-time" | "http-date" | "epoch-seconds"

/** Input and output of an operation's tuple `[9, namespace, name, traits, input, output]`. Throws TypeError for others. */
export function operationShapes(schema: unknown): { readonly input: Shape; readonly output: Shape } {
  if (!Array.isArray(schema) || schema[0] !== 9) throw new TypeError("not an operation's schema")
  return { input: shapeOf(NormalizedSchema.of(schema[4])), output: shapeOf(NormalizedSchema.of(schema[5])) }
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
  if (schema.isBlobSchema()) return { kind: "blob" }
  if (schema.isUnitSchema()) return { kind: "unit" }
  throw new TypeError(`the query protocols do not carry ${schema.getName(true)}`)
}

function structOf(schema: NormalizedSchema): Shape {
  const tuple: unknown = schema.getSchema()
  if (!Array.isArray(tuple)) throw new TypeError("not a structure's schema")
  const requiredCount = Number(tuple[6] ?? 0)
  return {
    kind: "struct",
    identity: tuple,
    name: String(tuple[2]),
    members: () =>
      [...schema.structIterator()].map(([name, member], index) => ({
        name,
        required: index < requiredCount,
        names: namesOf(member),
        shape: shapeOf(member),
      })),
  }
}

function namesOf(schema: NormalizedSchema): Names {
  const { ec2QueryName, xmlName, xmlFlattened } = schema.getMergedTraits()
  return { ec2QueryName: textOf(ec2QueryName), xmlName: textOf(xmlName), flat: Boolean(xmlFlattened) }
}

function textOf(trait: unknown): string | undefined {
  return typeof trait === "string" ? trait : undefined
}

function timestampFormat(id: unknown): TimestampFormat {
  if (id === 6) return "http-date"
  return id === 7 ? "epoch-seconds" : "date-time"
}
