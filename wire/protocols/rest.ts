/**
 * The two REST protocols: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html, .../aws-restxml-protocol.html and
 * https://smithy.io/2.0/spec/http-bindings.html. Members stand in path, query, headers and body; one compiled operation holds both ways.
 */
import { type Member, operationHttp, operationShapes, type Shape } from "../schema/shape.ts"
import { ruleCode } from "../schema/constraints/rules.ts"
import { documentReader, type Reading } from "../schema/value-reader.ts"
import { documentWriter } from "../schema/value-writer.ts"
import { outputWriter } from "../schema/writer.ts"
import { elementReader } from "../schema/xml-reader.ts"
import type { RestProtocol } from "../types.ts"
import {
  type DocumentOperation,
  documentHeaders,
  finished,
  type Holding,
  type Incoming,
  parseJson,
  wholeBody,
} from "./document.ts"
import { readBound, writeHeaders } from "./rest-bindings.ts"
import { malformed, parseXml } from "./xml-tree.ts"

type Struct = Extract<Shape, { kind: "struct" }>

/** Compiles one operation's schema tuple of the SDK. */
export function compileRest(
  schema: unknown,
  protocol: RestProtocol,
  xmlNamespace: string,
  holding: Holding = {},
): DocumentOperation {
  const { input, output } = operationShapes(schema)
  const { status } = operationHttp(schema)
  const inputMembers = input.kind === "struct" ? input.members() : []
  const bound = readBound(inputMembers)
  const body = input.kind === "struct" ? bodyReader(input, protocol) : () => ({})
  const payload = inputMembers.find(({ binding }) => binding?.in === "payload")
  return {
    takesStream: payload?.shape.kind === "blob" && payload.shape.isStream,
    read(incoming) {
      return finished(
        protocol,
        (reading) => {
          const found = { ...body(incoming, reading), ...bound(incoming) } as Record<string, unknown>
          for (const { name, required, binding } of inputMembers)
            if (required && binding && found[name] === undefined) reading.missing.push(binding.name || name)
          return found
        },
        { ...holding, code: ruleCode(input) },
      )
    },
    write: output.kind === "struct" ? answerWriter(output, protocol, status, xmlNamespace) : () => empty(status),
  }
}

const empty = (status: number) => ({ status, headers: {}, body: Buffer.alloc(0) })

/** What the body says of the input: the payload member, or the members that stand nowhere else. */
function bodyReader(input: Struct, protocol: RestProtocol): (incoming: Incoming, reading: Reading) => object {
  const payload = input.members().find(({ binding }) => binding?.in === "payload")
  if (payload) {
    const read = payloadReader(payload, protocol)
    return ({ body }, reading) => {
      if (Buffer.isBuffer(body) && body.length === 0 && payload.shape.kind !== "blob") return {}
      return { [payload.name]: read(body, reading) }
    }
  }
  const rest = withoutBound(input)
  if (rest.members().length === 0) return () => ({})
  if (protocol === "restXml") {
    const read = elementReader(rest)
    return ({ body }) => (wholeBody(body).length === 0 ? {} : read(parseXml(wholeBody(body))))
  }
  const read = documentReader(rest, "jsonNames")
  return ({ body }, reading) => read(parseJson(wholeBody(body)), reading) as object
}

function payloadReader(
  { shape, names }: Member,
  protocol: RestProtocol,
): (body: Incoming["body"], reading: Reading) => unknown {
  if (shape.kind === "blob") return (body) => body
  if (shape.kind === "string") return (body) => wholeBody(body).toString("utf8")
  if (protocol === "restJson1") {
    const read = documentReader(shape, "jsonNames")
    return (body, reading) => read(parseJson(wholeBody(body)), reading)
  }
  const read = elementReader(shape)
  const tag = names.xmlName ?? (shape.kind === "struct" ? (shape.xmlName ?? shape.name) : "")
  return (body) => {
    const root = parseXml(wholeBody(body))
    if (root.name !== tag) throw malformed()
    return read(root)
  }
}

/** The structure without what stands outside of the document. */
function withoutBound(shape: Struct): Struct {
  const members = shape.members().filter(({ binding }) => !binding)
  return { ...shape, identity: members, members: () => members }
}

function answerWriter(
  output: Struct,
  protocol: RestProtocol,
  usualStatus: number,
  xmlNamespace: string,
): DocumentOperation["write"] {
  const members = output.members()
  const headersOf = writeHeaders(members)
  const code = members.find(({ binding }) => binding?.in === "responseCode")?.name
  const payload = members.find(({ binding }) => binding?.in === "payload")
  const rest = withoutBound(output)
  const document = documentOf(payload?.shape ?? rest, protocol, xmlNamespace, payload)
  const isRaw = payload?.shape.kind === "blob" || payload?.shape.kind === "string"
  return (value) => {
    const given = value as Readonly<Record<string, unknown>>
    const headers = headersOf(given)
    // A part of something is 206 (RFC 9110); the schemas do not say it.
    const status = (code && Number(given[code])) || (headers["content-range"] ? 206 : usualStatus)
    if (isRaw) return { status, headers, body: rawBody(given[payload.name]) }
    const body = payload ? given[payload.name] : value
    const isEmpty = payload
      ? body === undefined
      : rest.members().length === 0 && (protocol === "restXml" || status === 204)
    if (isEmpty) return { status, headers, body: Buffer.alloc(0) }
    return { status, headers: { ...documentHeaders(protocol), ...headers }, body: document(body as object) }
  }
}

function rawBody(value: unknown): Buffer | AsyncIterable<Uint8Array> {
  if (value === undefined || value === null) return Buffer.alloc(0)
  if (typeof value === "string") return Buffer.from(value)
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length)
  return value as AsyncIterable<Uint8Array>
}

const prolog = `<?xml version="1.0" encoding="UTF-8"?>\n`

function documentOf(
  shape: Shape,
  protocol: RestProtocol,
  xmlNamespace: string,
  payload: Member | undefined,
): (value: object) => Buffer {
  if (protocol === "restJson1") {
    const write = documentWriter(shape, "jsonNames")
    return (value) => Buffer.from(JSON.stringify(write(value)))
  }
  if (shape.kind !== "struct") return () => Buffer.alloc(0)
  const write = outputWriter(shape)
  const tag = payload?.names.xmlName ?? shape.xmlName ?? shape.name
  const [only, ...others] = shape.members()
  // S3 answers GetBucketLocation with the member itself: the trait s3UnwrappedXmlOutput, which the schemas do not carry.
  const isUnwrapped = !payload && only !== undefined && others.length === 0 && (only.names.xmlName ?? only.name) === tag
  return (value) => {
    const sink = { text: "" }
    const parts: string[] = []
    for (const _ of write(value, sink)) {
      parts.push(sink.text)
      sink.text = ""
    }
    const inner = parts.join("") + sink.text
    const open = `${prolog}<${tag} xmlns="${xmlNamespace}">`
    if (!isUnwrapped) return Buffer.from(`${open}${inner}</${tag}>`)
    return Buffer.from(inner === "" ? `${open}</${tag}>` : inner.replace(`<${tag}>`, open))
  }
}
