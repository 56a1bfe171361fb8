/** Which operation of a REST service a request means: its method, its path and the literal part of its query. */
import { Fault } from "#lib/fault.ts"
import { operationHttp, operationShapes } from "../schema/shape.ts"
import type { Headers } from "../signature/claim.ts"

export interface Routed {
  readonly operation: string
  readonly labels: Readonly<Record<string, string>>
  /** Parameters that are not the route's own. */
  readonly query: readonly (readonly [string, string])[]
}

interface Segment {
  readonly text: string
  readonly label: boolean
  /** Takes all that is left, slashes too: "{Key+}". */
  readonly greedy: boolean
}

interface Route {
  readonly operation: string
  readonly segments: readonly Segment[]
  /** Literal parameters, without "x-id", which only says the operation's name. */
  readonly query: readonly (readonly [string, string])[]
  readonly named: boolean
  /** The bucket, which stands before the path or in the host. */
  readonly hostLabel: string | undefined
  readonly requiredQuery: readonly string[]
  readonly requiredHeaders: readonly string[]
}

export interface Wanted {
  readonly method: string
  /** As on the wire, without what stood for the host's label. */
  readonly path: string
  readonly hostLabel: string | undefined
  readonly query: readonly (readonly [string, string])[]
  readonly headers: Headers
}

/** Compiles the routes of a service. The one that asks for the most of what the request has is taken; undefined for none. */
export function createRoutes(schemas: Readonly<Record<string, unknown>>): (wanted: Wanted) => Routed | undefined {
  const byMethod = Map.groupBy(Object.entries(schemas).map(routeOf), ({ method }) => method)
  return (wanted) => {
    const path = pathSegments(wanted.path)
    let best: { readonly route: Route; readonly labels: Record<string, string>; readonly weight: number } | undefined
    for (const { route } of byMethod.get(wanted.method) ?? []) {
      const labels = fits(route, wanted, path)
      if (!labels) continue
      const weight = weightOf(route, wanted)
      if (!best || weight > best.weight) best = { route, labels, weight }
    }
    if (!best) return undefined
    const literal = new Set(["x-id", ...best.route.query.map(([name]) => name)])
    const { route, labels } = best
    return { operation: route.operation, labels, query: wanted.query.filter(([name]) => !literal.has(name)) }
  }
}

function routeOf([operation, schema]: [string, unknown]): { readonly method: string; readonly route: Route } {
  const { method, uri } = operationHttp(schema)
  const { input } = operationShapes(schema)
  const [path = "/", queryText = ""] = uri.split("?", 2)
  const segments = path
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      const label = /^\{(.+?)(\+?)\}$/.exec(part)
      return { text: label?.[1] ?? part, label: label !== null, greedy: label?.[2] === "+" }
    })
  const query = queryText
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => [pair.split("=")[0] ?? "", pair.split("=")[1] ?? ""] as const)
  const members = input.kind === "struct" ? input.members() : []
  const inPath = new Set(segments.map(({ text }) => text))
  const required = (kind: "query" | "header") =>
    members.flatMap(({ required, binding }) => (required && binding?.in === kind ? [binding.name] : []))
  const route: Route = {
    operation,
    segments,
    query: query.filter(([name]) => name !== "x-id"),
    named: query.some(([name]) => name === "x-id"),
    hostLabel: members.find(({ name, binding }) => binding?.in === "label" && !inPath.has(name))?.name,
    requiredQuery: required("query"),
    requiredHeaders: required("header"),
  }
  return { method, route }
}

function pathSegments(path: string): readonly string[] {
  return path.replace(/^\//, "").split("/")
}

function fits(route: Route, wanted: Wanted, path: readonly string[]): Record<string, string> | undefined {
  if ((route.hostLabel === undefined) !== (wanted.hostLabel === undefined)) return undefined
  const hasAll =
    route.query.every(([name, value]) =>
      wanted.query.some(([key, given]) => key === name && (value === "" || given === value)),
    ) &&
    route.requiredQuery.every((name) => wanted.query.some(([key]) => key === name)) &&
    route.requiredHeaders.every((name) => wanted.headers[name] !== undefined)
  if (!hasAll) return undefined
  const labels: Record<string, string> = {}
  if (route.hostLabel !== undefined) labels[route.hostLabel] = wanted.hostLabel ?? ""
  let at = 0
  for (const { text, label, greedy } of route.segments) {
    const part = greedy ? path.slice(at).join("/") : path[at]
    if (part === undefined || part === "") return undefined
    if (label) labels[text] = decode(part)
    else if (part !== text) return undefined
    at = greedy ? path.length : at + 1
  }
  // boto3 calls "/backup-vaults/", the JavaScript SDK "/backup-vaults".
  return path.slice(at).every((part) => part === "") ? labels : undefined
}

function weightOf(route: Route, { query }: Wanted): number {
  const named = query.find(([name]) => name === "x-id")?.[1]
  const literal = route.query.length * 100
  return (
    literal + (route.requiredQuery.length + route.requiredHeaders.length) * 10 + (named === route.operation ? 5 : 0)
  )
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Fault("InvalidURI", "Couldn't parse the specified URI.")
  }
}

/** The parameters of a query, decoded, without those of a signature. Throws InvalidURI. */
export function readQuery(query: string): readonly (readonly [string, string])[] {
  return query
    .split("&")
    .filter(
      (pair) =>
        pair !== "" &&
        !/^X-Amz-(?:Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token|Content-Sha256)(?:=|$)/i.test(
          pair,
        ),
    )
    .map((pair) => {
      const equals = pair.indexOf("=")
      const text = (part: string) => decode(part.replaceAll("+", " "))
      return equals < 0 ? [text(pair), ""] : [text(pair.slice(0, equals)), text(pair.slice(equals + 1))]
    })
}
