/** Operations of the document protocols' services, as botocore writes and reads them. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { test } from "node:test"
import { createServices, type Service } from "#wire/http/services.ts"
import { compileRpc } from "#wire/protocols/document.ts"
import { isRest } from "#wire/protocols/kinds.ts"
import { compileRest } from "#wire/protocols/rest.ts"
import { clientSchemas } from "#wire/schema/load.ts"
import { operationShapes } from "#wire/schema/shape.ts"
import type { RestProtocol, RpcProtocol } from "#wire/types.ts"
import { documentServices, notCarried } from "./documents.ts"
import { seeded, structure } from "./values.ts"

interface Request {
  readonly params: unknown
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
interface Said {
  readonly requests: Readonly<Record<string, Request>>
  readonly differences: readonly string[]
}

// The one of Debian 12, of 2023, has no CBOR.
const script = new URL("botocore_documents.py", import.meta.url).pathname
const python = ["python3", "/usr/bin/python3"].find((name) => {
  const look = "from botocore.serialize import SERIALIZERS; assert 'smithy-rpc-v2-cbor' in SERIALIZERS"
  return spawnSync(name, ["-c", look], { timeout: 20_000 }).status === 0
})
const serializers: Readonly<Record<RpcProtocol | RestProtocol, string>> = {
  awsJson1_0: "json",
  awsJson1_1: "json",
  rpcv2Cbor: "smithy-rpc-v2-cbor",
  restJson1: "rest-json",
  restXml: "rest-xml",
}
/**
 * GetBucketLocation's answer is read by botocore in a handler of its own, beside its parsers. ListDirectoryBuckets is told from ListBuckets by
 * the host alone. The others hold grantees, whose type is an XML
 * attribute: none of them is done, and what is not done is not written.
 */
const elsewhere = new Set([
  "GetBucketLocation",
  "ListDirectoryBuckets",
  "GetBucketAcl",
  "GetObjectAcl",
  "GetBucketLogging",
  "PutBucketAcl",
  "PutObjectAcl",
  "PutBucketLogging",
])

// The values are made up: of the right type, no more.
const made = { holdsRules: false }

test(
  "botocore and our codecs agree on the operations of every document protocol",
  { skip: python ? false : "no botocore with CBOR" },
  async (t) => {
    const random = seeded(11)
    const services: Service[] = []
    const asked: object[] = []
    for (const { client, botocore, protocol, target } of documentServices) {
      const schemas = await clientSchemas(client)
      const xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"
      const load = async () => ({ schemas, dispatch: async () => ({}) })
      const service = createServices(
        [{ name: client, protocol, version: "1", target, xmlNamespace, load }],
        made,
      ).named(client)
      assert.ok(service)
      services.push(service)
      const cases = []
      for (const [operation, schema] of Object.entries(schemas)) {
        if (notCarried.has(operation) || elsewhere.has(operation)) continue
        const { input, output } = operationShapes(schema)
        const given = structure(output, random)
        const { status, headers, body } = compiled(service, protocol, schema).write(given)
        assert.ok(Buffer.isBuffer(body))
        cases.push({
          operation,
          input: marked(structure(input, random)),
          output: marked(given),
          status,
          headers,
          body: body.toString("base64"),
        })
      }
      asked.push({ service: botocore, protocol: serializers[protocol], cases })
    }
    for (const [index, said] of askPython(asked).entries()) {
      const row = documentServices[index]
      const service = services[index]
      assert.ok(row && service)
      assert.deepEqual(said.differences, [], `${row.client} ${row.protocol}`)
      const requests = Object.entries(said.requests)
      assert.ok(requests.length > 5)
      t.diagnostic(`${row.client} ${row.protocol}: ${requests.length} operations compared`)
      for (const [name, request] of requests) {
        // A literal query stands in botocore's path.
        const [path = "", literal = ""] = request.path.split("?", 2)
        const query = [literal, request.query].filter((part) => part !== "").join("&")
        const signed = { method: request.method, path, query, headers: { host: "127.0.0.1", ...request.headers } }
        const located = await service.locate(signed, row.protocol)
        assert.equal(located.name, name)
        const read = located.operation.read({ ...located, signed, body: Buffer.from(request.body, "base64") })
        assert.deepEqual(inSeconds(marked(read)), inSeconds(request.params), `${row.client} ${name}`)
      }
    }
  },
)

function compiled({ binding }: Service, protocol: RpcProtocol | RestProtocol, schema: unknown) {
  return isRest(protocol)
    ? compileRest(schema, protocol, binding.xmlNamespace ?? "", made)
    : compileRpc(schema, protocol, made)
}

function askPython(asked: readonly object[]): readonly Said[] {
  const { status, stdout, stderr } = spawnSync(python ?? "python3", [script], {
    input: JSON.stringify(asked),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: 100_000,
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

/** botocore leaves milliseconds out of what it sends. */
function inSeconds(value: unknown): unknown {
  const text = JSON.stringify(value ?? null)
  return JSON.parse(text.replaceAll(/"\$time":(\d+)/g, (_, ms: string) => `"$time":${Math.floor(Number(ms) / 1000)}`))
}

/** As JSON can hold it. */
function marked(value: unknown): unknown {
  if (value instanceof Date) return { $time: value.getTime() }
  if (value instanceof Uint8Array) return { $blob: Buffer.from(value).toString("base64") }
  if (Array.isArray(value)) return value.map(marked)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, marked(each)]))
}
