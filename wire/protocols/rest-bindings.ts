/** Members of REST operations that stand outside of the document: in path, query and headers. */
import { Fault } from "#lib/fault.ts"
import { readNumber, readTimestamp } from "../schema/scalars.ts"
import type { Member, Shape } from "../schema/shape.ts"
import { timestamp } from "../schema/writer.ts"
import type { Incoming } from "./document.ts"
import { shown } from "./form.ts"

/** Reads the members that are bound. A parameter of the query that no member is bound to is refused. */
export function readBound(members: readonly Member[]): (incoming: Incoming) => object {
  const readers = members.flatMap((member) => {
    const read = boundReader(member)
    return read ? [[member.name, read] as const] : []
  })
  const takesAny = members.some(({ binding }) => binding?.in === "queryParams")
  const known = new Set(members.flatMap(({ binding }) => (binding?.in === "query" ? [binding.name] : [])))
  return (incoming) => {
    const unknown = incoming.query.find(([name]) => !known.has(name))
    if (unknown && !takesAny) throw new Fault("InvalidArgument", `The parameter ${shown(unknown[0])} is not recognized`)
    const input: Record<string, unknown> = {}
    for (const [name, read] of readers) {
      const value = read(incoming)
      if (value !== undefined) input[name] = value
    }
    return input
  }
}

function boundReader({ shape, binding }: Member): ((incoming: Incoming) => unknown) | undefined {
  switch (binding?.in) {
    case "label": {
      const parse = parser(shape, "date-time")
      return ({ labels }) => optional(labels[binding.name], (text) => parse(text, binding.name))
    }
    case "query": {
      const isList = shape.kind === "list"
      const parse = parser(isList ? shape.element() : shape, "date-time")
      return ({ query }) => {
        const values = query.filter(([name]) => name === binding.name).map(([, value]) => parse(value, binding.name))
        return isList ? (values.length > 0 ? values : undefined) : values[0]
      }
    }
    case "queryParams":
      return ({ query }) => Object.fromEntries(query)
    case "header": {
      const isList = shape.kind === "list"
      const parse = parser(isList ? shape.element() : shape, "http-date")
      return ({ signed }) => {
        const text = headerText(signed.headers[binding.name])
        if (text === undefined || (text === "" && shape.kind !== "string")) return undefined
        return isList ? text.split(",").map((item) => parse(item.trim(), binding.name)) : parse(text, binding.name)
      }
    }
    case "prefixHeaders":
      return ({ signed }) => {
        const found = Object.entries(signed.headers).flatMap(([name, value]) => {
          const text = name.startsWith(binding.name) ? headerText(value) : undefined
          return text === undefined ? [] : [[name.slice(binding.name.length), text] as const]
        })
        return found.length > 0 ? Object.fromEntries(found) : undefined
      }
    default:
      return undefined
  }
}

function headerText(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "object" ? value.join(",") : value
}

function optional<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text)
}

function parser(shape: Shape, times: "date-time" | "http-date"): (text: string, name: string) => unknown {
  if (shape.kind === "boolean")
    return (text, name) => {
      const word = text.toLowerCase()
      if (word !== "true" && word !== "false") throw invalid(name)
      return word === "true"
    }
  if (shape.kind === "number") return (text, name) => said(name, () => readNumber(text, name, "Double"))
  if (shape.kind === "timestamp")
    return (text, name) => said(name, () => readTimestamp(text, name, shape.format ?? times))
  return (text) => text
}

function said<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch {
    throw invalid(name)
  }
}

function invalid(name: string): Fault {
  return new Fault("InvalidArgument", `The value of ${shown(name)} is not valid`)
}

/** Writes the members that are headers; names in lower case. What a header cannot hold is left out of it. */
export function writeHeaders(
  members: readonly Member[],
): (output: Readonly<Record<string, unknown>>) => Record<string, string> {
  const bound = members.filter(({ binding }) => binding?.in === "header" || binding?.in === "prefixHeaders")
  return (output) => {
    const headers: Record<string, string> = {}
    for (const { name, shape, binding } of bound) {
      const value = output[name]
      if (value === undefined || value === null || !binding) continue
      if (binding.in === "prefixHeaders") {
        for (const [key, item] of Object.entries(value))
          headers[`${binding.name}${key.toLowerCase()}`] = safe(String(item))
      } else headers[binding.name] = safe(headerValue(shape, value))
    }
    return headers
  }
}

function headerValue(shape: Shape, value: unknown): string {
  if (shape.kind === "timestamp") return timestamp(value as Date, shape.format ?? "http-date")
  if (shape.kind === "list")
    return (value as readonly unknown[]).map((item) => headerValue(shape.element(), item)).join(", ")
  return String(value)
}

/** Node refuses what would end a header; bytes above ASCII go out as UTF-8 bytes, as S3 sends them. */
function safe(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return Buffer.from(text.replaceAll(/[\0-\x08\n-\x1f\x7f]/g, "")).toString("latin1")
}
