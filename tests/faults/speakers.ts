/** Requests of every service in every protocol that it speaks, save EC2's, which have their own generator in requests.ts. */
import { gzipSync } from "node:zlib"
import { CborTime, encodeCbor } from "#wire/protocols/cbor.ts"
import { type Member, operationHttp, operationShapes, type Shape } from "#wire/schema/shape.ts"
import type { Protocol, ServiceBinding } from "#wire/types.ts"
import { inChunks } from "./chunks.ts"
import { encode, type RawRequest } from "./client.ts"
import { garble } from "./mutate.ts"
import type { Random } from "./random.ts"
import { spoil, textOf, type Tree, treeOf } from "./trees.ts"

export interface Shot {
  /** For people: "ssm:GetParameter by awsJson1_1". */
  readonly label: string
  readonly protocol: Protocol
  readonly raw: RawRequest
}

/** A service and the operations of it that are asked for, by their schemas. */
export interface Speaker {
  readonly binding: Omit<ServiceBinding, "load">
  readonly operations: readonly (readonly [name: string, schema: unknown])[]
}

/** A request of any service and protocol, a quarter of them sensible. */
export function shotOf(speakers: readonly Speaker[], random: Random): Shot {
  const [binding, [name, schema]] = random.pick(
    speakers.flatMap((each) => each.operations.map((operation) => [each.binding, operation] as const)),
  )
  const protocol = random.pick([binding.protocol, ...(binding.also ?? [])])
  const shape = operationShapes(schema).input
  const tree = spoil(treeOf(shape, random), random)
  const written = write({ binding, name, schema, shape, protocol }, tree, random)
  const scope = `${binding.name}/aws4_request, SignedHeaders=host, Signature=${"0".repeat(64)}`
  const region = random.once(20) ? "eu-west-1" : "us-east-1"
  const date = { "x-amz-date": "20260101T000000Z" }
  const authorization = `AWS4-HMAC-SHA256 Credential=AKIAFUZZ/20260101/${region}/${scope}`
  const whole = { ...written, headers: { authorization, ...date, ...written.headers } }
  return {
    label: `${binding.name}:${name} by ${protocol}`,
    protocol,
    raw: random.once(8) ? damaged(whole, random) : whole,
  }
}

interface Asked {
  readonly binding: Speaker["binding"]
  readonly name: string
  readonly schema: unknown
  readonly shape: Shape
  readonly protocol: Protocol
}

function write(asked: Asked, tree: Tree, random: Random): RawRequest {
  const { binding, name, protocol } = asked
  if (protocol === "restXml" || protocol === "restJson1") return rest(asked, tree, random)
  if (protocol === "rpcv2Cbor")
    return {
      path: `/service/${binding.target}/operation/${name}`,
      headers: { "smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor" },
      body: encodeCbor(plain(tree, (date) => new CborTime(date.getTime() / 1000))),
    }
  if (protocol === "awsQuery" || protocol === "ec2Query") {
    const pairs: (readonly [string, string])[] = [
      ["Action", name],
      ["Version", binding.version],
    ]
    flatten(tree, "", pairs)
    return { headers: { "content-type": "application/x-www-form-urlencoded" }, body: encode(pairs) }
  }
  const version = protocol === "awsJson1_0" ? "1.0" : "1.1"
  return {
    headers: { "content-type": `application/x-amz-json-${version}`, "x-amz-target": `${binding.target}.${name}` },
    body: json(tree),
  }
}

const json = (tree: Tree) => (JSON.stringify(plain(tree, (date) => date.getTime() / 1000, base64)) ?? "").toWellFormed()
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")

function plain(
  tree: Tree,
  time: (date: Date) => unknown,
  bytes: (bytes: Uint8Array) => unknown = (same) => same,
): Tree {
  if (tree instanceof Date) return time(tree)
  if (tree instanceof Uint8Array) return bytes(tree)
  if (Array.isArray(tree)) return tree.map((item) => plain(item, time, bytes))
  if (typeof tree !== "object" || tree === null) return tree
  return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, plain(item, time, bytes)]))
}

function flatten(tree: Tree, path: string, pairs: (readonly [string, string])[]): void {
  if (Array.isArray(tree)) tree.forEach((item, index) => flatten(item, `${path}.member.${index + 1}`, pairs))
  else if (typeof tree === "object" && tree !== null && !(tree instanceof Date) && !(tree instanceof Uint8Array))
    for (const [key, item] of Object.entries(tree)) flatten(item, path === "" ? key : `${path}.${key}`, pairs)
  else pairs.push([path, textOf(tree)])
}

/** Members where their operation wants them, save the length, which ends the connection when it is wrong; those that no shape names go to the query. */
function rest({ schema, shape, protocol }: Asked, tree: Tree, random: Random): RawRequest {
  const { method, uri } = operationHttp(schema)
  const members = shape.kind === "struct" ? shape.members() : []
  const given = typeof tree === "object" && tree !== null ? (tree as Readonly<Record<string, Tree>>) : {}
  const labels = new Map<string, string>()
  const query: (readonly [string, string])[] = []
  const headers: Record<string, string> = {}
  const inBody: (readonly [Member, Tree])[] = []
  for (const [key, value] of Object.entries(given)) {
    const member = members.find(({ name }) => name === key)
    const { binding } = member ?? {}
    if (member === undefined) query.push([key, textOf(value)])
    else if (binding === undefined || binding.in === "payload") inBody.push([member, value])
    else if (binding.in === "label") labels.set(key, textOf(value))
    else if (binding.in === "query") query.push([binding.name, textOf(value)])
    else if (binding.in === "header" && binding.name === "content-length") continue
    else if (binding.in === "header") headers[binding.name] = headerOf(value)
    else if (typeof value === "object" && value !== null)
      for (const [name, item] of Object.entries(value))
        headers[`${binding.name}${name.replaceAll(/[^\w-]/g, "").slice(0, 100)}`] = headerOf(item)
  }
  const path = pathOf(uri, labels, query)
  const [first] = inBody
  if (first?.[0].binding?.in === "payload" && first[0].shape.kind === "blob") {
    const content = first[1] instanceof Uint8Array ? Buffer.from(first[1]) : Buffer.from(textOf(first[1]))
    if (protocol === "restXml" && random.once(2)) return { method, path, ...inChunks(content, headers, random) }
    return { method, path, headers, body: content }
  }
  const body = protocol === "restXml" ? inBody.map(xmlBody).join("") : bodyOf(inBody)
  return { method, path, headers: { "content-type": "application/xml", ...headers }, body }
}

const bodyOf = (inBody: readonly (readonly [Member, Tree])[]) =>
  inBody.length === 0
    ? ""
    : json(Object.fromEntries(inBody.map(([{ name, names }, value]) => [names.jsonName ?? name, value])))

function pathOf(
  uri: string,
  labels: ReadonlyMap<string, string>,
  query: readonly (readonly [string, string])[],
): string {
  const [path = "/", literal = ""] = uri.split("?", 2)
  const filled = path.replaceAll(/\{(.+?)\+?\}/g, (_, name: string) => segment(labels.get(name)))
  // The bucket's label stands in the host by the model; here it goes before the path.
  const bucket = labels.has("Bucket") && !path.includes("{Bucket}") ? `/${segment(labels.get("Bucket"))}` : ""
  const parts = [literal, encode(query)].filter((part) => part !== "")
  return `${bucket}${filled}${parts.length === 0 ? "" : `?${parts.join("&")}`}`.slice(0, 20_000)
}

const segment = (value = "") => encodeURIComponent(value.toWellFormed()).slice(0, 8000)
const headerOf = (value: Tree) =>
  (Array.isArray(value) ? value.map(textOf).join(",") : textOf(value))
    .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "")
    .slice(0, 8000)

function xmlBody([{ name, names, shape }, value]: readonly [Member, Tree]): string {
  return xml(names.xmlName ?? (shape.kind === "struct" ? (shape.xmlName ?? name) : name), value, shape)
}

/** As far as the value is of the shape; below that, by its own keys. */
function xml(tag: string, value: Tree, shape?: Shape, isFlat = false): string {
  const name = tag.replaceAll(/[<>&\s]/g, "") || "x"
  if (Array.isArray(value)) {
    const element = shape?.kind === "list" ? shape.element() : undefined
    const inner = (shape?.kind === "list" && shape.elementNames.xmlName) || "member"
    const items = value.map((item) => xml(isFlat ? name : inner, item, element)).join("")
    return isFlat ? items : `<${name}>${items}</${name}>`
  }
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array)
    return `<${name}>${textOf(value)
      .toWellFormed()
      .replaceAll(/[<&]/g, (c) => (c === "<" ? "&lt;" : "&amp;"))}</${name}>`
  const members = shape?.kind === "struct" ? shape.members() : []
  const inner = Object.entries(value).map(([key, item]) => {
    const member = members.find((each) => each.name === key)
    return xml(member?.names.xmlName ?? key, item as Tree, member?.shape, member?.names.flat)
  })
  return `<${name}>${inner.join("")}</${name}>`
}

/** The same request with bytes, length or headers that are not what they should be. */
function damaged(raw: RawRequest, random: Random): RawRequest {
  const body = Buffer.from(raw.body ?? "")
  const headers = { ...raw.headers }
  const choice = random.below(9)
  if (choice === 0) return { ...raw, body: garble(body.toString("latin1"), random) }
  if (choice === 1) return { ...raw, body: body.subarray(0, random.below(body.length + 1)) }
  if (choice === 2) return { ...raw, body: (random.once(2) ? "[" : '{"a":').repeat(20_000) }
  if (choice === 3) return { ...raw, body: "<a>".repeat(5000) }
  if (choice === 4) return { ...raw, headers: { ...headers, "content-encoding": "gzip" }, body: gzipSync(body) }
  if (choice === 5)
    return { ...raw, headers: { ...headers, "content-encoding": "gzip" }, body: gzipSync(Buffer.alloc(8_000_000)) }
  if (choice === 6) return { ...raw, body: Buffer.from(Array.from({ length: 300 }, () => random.below(256))) }
  if (choice === 7) return { ...raw, method: random.pick(["GET", "PUT", "DELETE", "HEAD", "PATCH", "POST"]) }
  const name = random.pick(Object.keys(headers))
  return {
    ...raw,
    headers: { ...headers, [name]: random.pick(["", "x", "*", "a".repeat(4000), "application/json", "1.5"]) },
  }
}
