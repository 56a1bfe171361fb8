/** Every operation of the document protocols' services, in both directions, against the SDK's own codecs. */
import * as sdk from "@aws-sdk/core/protocols"
import { SmithyRpcV2CborProtocol } from "@smithy/core/cbor"
import assert from "node:assert/strict"
import { Readable } from "node:stream"
import { test } from "node:test"
import { createServices } from "#wire/http/services.ts"
import { clientSchemas } from "#wire/schema/load.ts"
import { operationShapes } from "#wire/schema/shape.ts"
import type { RestProtocol, RpcProtocol } from "#wire/types.ts"
import { documentServices, notCarried } from "./documents.ts"
import { seeded, structure, valueOf } from "./values.ts"

interface Sent {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string | readonly string[]>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}
/** What we use of the SDK's protocol classes: their own types ask for a whole client. */
interface Codec {
  setSerdeContext(context: object): void
  serializeRequest(operation: object, input: unknown, context: object): Promise<Sent>
  deserializeResponse(operation: object, context: object, response: object): Promise<Record<string, unknown>>
}
const context = {
  endpoint: () => Promise.resolve({ protocol: "http:", hostname: "localhost", path: "/" }),
  streamCollector: (body: unknown) => Promise.resolve(body),
  base64Encoder: (bytes: Uint8Array) => Buffer.from(bytes).toString("base64"),
  base64Decoder: (text: string) => new Uint8Array(Buffer.from(text, "base64")),
  utf8Encoder: (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8"),
  utf8Decoder: (text: string) => new Uint8Array(Buffer.from(text)),
}
const codecs = {
  awsJson1_0: sdk.AwsJson1_0Protocol,
  awsJson1_1: sdk.AwsJson1_1Protocol,
  rpcv2Cbor: SmithyRpcV2CborProtocol,
  restJson1: sdk.AwsRestJsonProtocol,
  restXml: sdk.AwsRestXmlProtocol,
} as unknown as Readonly<Record<RpcProtocol | RestProtocol, new (options: object) => Codec>>

for (const { client, protocol, target } of documentServices)
  test(`the SDK's codec and ours agree on every operation of ${client} in ${protocol}`, async () => {
    const schemas = await clientSchemas(client)
    const xmlNamespace = `http://${client}.amazonaws.com/doc/2006-03-01/`
    const options = {
      defaultNamespace: `com.amazonaws.${client}`,
      xmlNamespace,
      serviceTarget: target,
      version: "1",
      errorTypeRegistries: [],
    }
    const codec = new codecs[protocol](options)
    codec.setSerdeContext(context)
    const loaded = { schemas, dispatch: async () => ({}) }
    const binding = { name: client, protocol, version: "1", target, xmlNamespace, load: async () => loaded }
    const service = createServices([binding], { holdsRules: false }).named(client)
    const random = seeded(20261121)
    assert.ok(service && Object.keys(schemas).length > 5)
    for (const [name, schema] of Object.entries(schemas)) {
      if (notCarried.has(name)) continue
      assert.ok(Array.isArray(schema))
      const { input, output } = operationShapes(schema)
      const [, namespace, , traits, inputSchema, outputSchema]: unknown[] = schema
      const sdkOperation = { name, namespace, traits, input: inputSchema, output: outputSchema }

      const asked = valueOf(input, random)
      const sent = await codec.serializeRequest(sdkOperation, asked, {
        ...context,
        __smithy_context: { service: target, operation: name },
      })
      const located = await service.locate(signedOf(sent, asked, protocol), protocol)
      assert.equal(located.name, name)
      const body = Buffer.from(sent.body ?? "")
      const read = located.operation.read({ ...located, signed: signedOf(sent, asked, protocol), body })
      assert.deepEqual(plain(read), plain(asked), `${name}: request`)

      const given = structure(output, random)
      const answer = located.operation.write(given)
      assert.ok(Buffer.isBuffer(answer.body))
      const isStream =
        output.kind === "struct" && output.members().some(({ shape }) => shape.kind === "blob" && shape.isStream)
      const sentBack = isStream ? Readable.from([answer.body]) : answer.body
      const response = { statusCode: answer.status, headers: lower(answer.headers), body: sentBack }
      const { $metadata: _, ...parsed } = await codec.deserializeResponse(sdkOperation, context, response)
      for (const [key, value] of Object.entries(parsed))
        if (value instanceof Readable) parsed[key] = new Uint8Array(Buffer.concat(await value.toArray()))
      assert.deepEqual(plain(parsed), plain(given), `${name}: answer`)
    }
  })

/** As it would come: S3's bucket is in the host, which the SDK's codec leaves to its endpoints. */
function signedOf(sent: Sent, asked: unknown, protocol: string) {
  const bucket = typeof asked === "object" && asked !== null && "Bucket" in asked ? String(asked.Bucket) : undefined
  const query = Object.entries(sent.query).flatMap(([name, value]) =>
    [value].flat().map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(each ?? "")}`),
  )
  return {
    method: sent.method,
    path: bucket !== undefined && protocol === "restXml" ? `/${encodeURIComponent(bucket)}${sent.path}` : sent.path,
    query: query.join("&"),
    headers: { host: "127.0.0.1:4566", ...lower(sent.headers) },
  }
}

const lower = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** Bytes as text, and without what is undefined, so that the two can be compared. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("base64") }
  if (value instanceof Date) return { ms: value.getTime() }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => [key, plain(each)])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  )
}
