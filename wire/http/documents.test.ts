/** JSON, CBOR and REST beside the query protocols: which request is whose, and errors in each protocol's own form. */
import fc from "fast-check"
import assert from "node:assert/strict"
import { test } from "node:test"
import { gzipSync } from "node:zlib"
import { Fault } from "#lib/fault.ts"
import { decodeCbor, encodeCbor } from "../protocols/cbor.ts"
import { parseXml } from "../protocols/xml-tree.ts"
import { clientSchemas } from "../schema/load.ts"
import type { ServiceBinding } from "../types.ts"
import { binding, type Handlers, type Started, startServer } from "./fixture.ts"

const target = "GraniteServiceVersion20100801"
const handlers: Handlers = {
  ListDashboards: (input) => ({
    DashboardEntries: [{ DashboardName: JSON.stringify(input), LastModified: new Date(1500) }],
  }),
  DeleteAlarms() {
    throw new Fault("ResourceNotFound", "there is none", 404)
  },
  ListSnapshotBlocks: (input) => ({ BlockSize: 524_288, NextToken: JSON.stringify(input) }),
  GetSnapshotBlock: () => ({ DataLength: 3, BlockData: Buffer.from("abc") }),
}

function bound(client: string, facts: Omit<ServiceBinding, "load">): ServiceBinding {
  const dispatch = async (operation: string, input: object) => {
    const handler = handlers[operation]
    if (!handler) throw new Fault("UnsupportedOperation", operation)
    return (await handler(input, {} as never)) as object
  }
  return { ...facts, load: async () => ({ schemas: await clientSchemas(client), dispatch }) }
}

const services = [
  binding("ec2", {}),
  bound("cloudwatch", {
    name: "monitoring",
    protocol: "awsJson1_0",
    also: ["rpcv2Cbor", "awsQuery"],
    version: "2010-08-01",
    xmlNamespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    target,
  }),
  bound("ebs", { name: "ebs", protocol: "restJson1", version: "2019-11-02" }),
]
const start = () => startServer({}, { services })

interface Asked {
  readonly operation?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly method?: string
  readonly path?: string
}

/** Sends JSON unless told. */
async function ask(
  { port }: Started,
  { operation = "ListDashboards", headers, body = "{}", method = "POST", path = "/" }: Asked,
) {
  const all = headers ?? { "content-type": "application/x-amz-json-1.0", "x-amz-target": `${target}.${operation}` }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: all,
    ...(method === "GET" ? {} : { body }),
  })
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
}
const json = (bytes: Buffer) => JSON.parse(bytes.toString())
const codeOf = ({ bytes }: { readonly bytes: Buffer }) => json(bytes)["__type"]
const credential = (service: string) => ({
  authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=${"a".repeat(64)}`,
  "x-amz-date": "20260102T030405Z",
})

test("one service speaks JSON, CBOR and query on the one port", async () => {
  await using server = await start()
  const document = await ask(server, { body: '{"DashboardNamePrefix":"a"}' })
  assert.equal(document.headers.get("content-type"), "application/x-amz-json-1.0")
  assert.match(document.headers.get("x-amzn-requestid") ?? "", /^[0-9a-f-]{36}$/)
  assert.deepEqual(json(document.bytes), {
    DashboardEntries: [{ DashboardName: '{"DashboardNamePrefix":"a"}', LastModified: 1.5 }],
  })
  const cborHeaders = { "smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor" }
  const path = `/service/${target}/operation/ListDashboards`
  const cbor = await ask(server, {
    headers: cborHeaders,
    path,
    body: new Uint8Array(encodeCbor({ DashboardNamePrefix: "b" })),
  })
  assert.equal(cbor.headers.get("smithy-protocol"), "rpc-v2-cbor")
  assert.match(JSON.stringify(decodeCbor(cbor.bytes)), /DashboardNamePrefix.*b/)
  const query = await ask(server, {
    headers: { "content-type": "application/x-www-form-urlencoded", ...credential("monitoring") },
    body: "Action=ListDashboards&Version=2010-08-01&DashboardNamePrefix=c",
  })
  assert.match(query.bytes.toString(), /<ListDashboardsResponse.*DashboardNamePrefix.*c/)
})

test("REST JSON takes its input from path, query and body, and answers raw payloads", async () => {
  await using server = await start()
  const headers = credential("ebs")
  const listed = await ask(server, { headers, method: "GET", path: "/snapshots/snap-1%2F2/blocks/?maxResults=5" })
  assert.deepEqual(json(Buffer.from(json(listed.bytes).NextToken)), { SnapshotId: "snap-1/2", MaxResults: 5 })
  const block = await ask(server, { headers, method: "GET", path: "/snapshots/s/blocks/0?blockToken=t" })
  assert.equal(block.headers.get("x-amz-data-length"), "3")
  assert.equal(block.bytes.toString(), "abc")
  const wrong = await ask(server, { headers, method: "GET", path: "/snapshots/s/blocks/0?blockToken=t&luck=7" })
  assert.equal(wrong.status, 400)
  const none = await ask(server, { headers, method: "GET", path: "/nothing" })
  assert.deepEqual([none.status, none.headers.get("x-amzn-errortype")], [404, "UnknownOperationException"])
})

test("errors are said in the protocol of the call", async () => {
  await using server = await start()
  const body = '{"AlarmNames":["a"]}'
  const failed = await ask(server, { operation: "DeleteAlarms", body })
  assert.deepEqual([failed.status, json(failed.bytes)], [404, { __type: "ResourceNotFound", message: "there is none" }])
  const headers = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": `${target}.DeleteAlarms`,
    "x-amzn-query-mode": "true",
  }
  const compatible = await ask(server, { headers, body })
  assert.equal(compatible.headers.get("x-amzn-query-error"), "ResourceNotFound;Sender")
  const path = `/service/${target}/operation/DeleteAlarms`
  const cbor = await ask(server, {
    headers: { "smithy-protocol": "rpc-v2-cbor" },
    path,
    body: new Uint8Array(encodeCbor({ AlarmNames: ["a"] })),
  })
  assert.deepEqual(decodeCbor(cbor.bytes), { __type: "ResourceNotFound", message: "there is none" })
  const codes: Record<string, string> = {}
  for (const [name, asked] of Object.entries({
    unknown: { operation: "Fly" },
    missing: { operation: "DeleteAlarms" },
    type: { operation: "DeleteAlarms", body: '{"AlarmNames":[7]}' },
    parameter: { operation: "DeleteAlarms", body: '{"AlarmNames":["a"],"Luck":7}' },
    syntax: { operation: "DeleteAlarms", body: "{" },
    method: { method: "PUT" },
    pressed: { headers: { ...headers, "content-encoding": "br" } },
  }))
    codes[name] = codeOf(await ask(server, asked))
  assert.deepEqual(codes, {
    unknown: "UnknownOperationException",
    missing: "ValidationException",
    type: "SerializationException",
    parameter: "ValidationException",
    syntax: "SerializationException",
    method: "MethodNotAllowed",
    pressed: "UnsupportedMediaType",
  })
})

test("with auth on, an unsigned call is refused in its own words", async () => {
  await using server = await startServer({}, { services, auth: "on" })
  assert.equal(codeOf(await ask(server, {})), "MissingAuthenticationTokenException")
  const headers = { "x-amz-target": `${target}.ListDashboards`, ...credential("monitoring") }
  assert.equal(codeOf(await ask(server, { headers })), "InvalidSignatureException")
})

test("a gzipped body is read, and one that grows too large is not", async () => {
  await using server = await start()
  const headers = { "x-amz-target": `${target}.ListDashboards`, "content-encoding": "gzip" }
  const pressed = (text: string) => new Uint8Array(gzipSync(text))
  const read = await ask(server, { headers, body: pressed('{"DashboardNamePrefix":"pressed"}') })
  assert.match(read.bytes.toString(), /pressed/)
  const bomb = await ask(server, { headers, body: pressed(`"${"a".repeat(20_000_000)}"`) })
  assert.equal(codeOf(bomb), "SerializationException")
})

test("hostile documents are refused and cost nothing: deep, huge counts, wrong tags, entities", async () => {
  await using server = await start()
  const deep = (open: string) => Buffer.from(open.repeat(100_000))
  for (const bytes of [
    deep("\x81"),
    Buffer.of(0x9b, 0, 0, 0xff, 255, 255, 255, 255, 255),
    Buffer.of(0xc2, 0x41, 0),
    Buffer.of(0x5f, 0x61),
  ])
    assert.throws(() => decodeCbor(bytes), { code: "SerializationException" })
  for (const text of [
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "<a>&b;</a>",
    "<a><b></a></b>",
    "<a>".repeat(1000),
    "<a b='1' b='2'/>",
    "<a>&#0;</a>",
    "<a/><a/>",
    `<!--${"a".repeat(4_000_000)}--><a/>`,
    `<a ${"b".repeat(4_000_000)}/>`,
    `<a>${" b='".repeat(1_000_000)}`,
    "",
  ])
    assert.throws(() => parseXml(Buffer.from(text)), { code: "MalformedXML" })
  const nested = await ask(server, { body: `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}` })
  assert.equal(nested.status, 400)
  assert.deepEqual(server.logged, [])
})

test("CBOR: what is encoded is decoded, and no bytes at all make it fail otherwise than by a Fault", () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.double({ noNaN: true }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("any")),
      fc.dictionary(
        fc.string().filter((key) => key !== "__proto__"),
        tie("any"),
        { noNullPrototype: true },
      ),
    ),
  })).any
  fc.assert(
    fc.property(value, (each) => assert.deepEqual(decodeCbor(encodeCbor(each)), Object.is(each, -0) ? 0 : each)),
    { seed: 1, numRuns: 200 },
  )
  const bytes = fc.uint8Array({ maxLength: 64 })
  fc.assert(
    fc.property(bytes, (each) => {
      try {
        decodeCbor(Buffer.from(each))
      } catch (error) {
        assert.ok(error instanceof Fault, String(error))
      }
    }),
    { seed: 1, numRuns: 2000 },
  )
})
