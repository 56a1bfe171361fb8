/** Every operation of every service we know, in both directions, against the SDK's own codec. */
import { AwsEc2QueryProtocol, AwsQueryProtocol } from "@aws-sdk/core/protocols"
import assert from "node:assert/strict"
import { test } from "node:test"
import { parseForm } from "#wire/protocols/form.ts"
import { defaultLimits } from "#wire/protocols/limits.ts"
import { compileOperation } from "#wire/protocols/query.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { operationShapes } from "#wire/schema/shape.ts"
import { knownServices } from "./services.ts"
import { seeded, structure, valueOf } from "./values.ts"

/** What we use of the SDK's protocol classes: their own types ask for a whole client. */
interface Codec {
  serializeRequest(operation: object, input: unknown, context: object): Promise<{ body: string }>
  deserializeResponse(operation: object, context: object, response: object): Promise<Record<string, unknown>>
}
const context = {
  endpoint: () => Promise.resolve({ protocol: "http:", hostname: "localhost", path: "/" }),
  streamCollector: (body: unknown) => Promise.resolve(body),
}

for (const service of knownServices) {
  const options = {
    defaultNamespace: service.smithyNamespace,
    xmlNamespace: service.xmlNamespace,
    version: service.version,
    errorTypeRegistries: [],
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const codec = (service.protocol === "ec2Query"
    ? new AwsEc2QueryProtocol(options)
    : new AwsQueryProtocol(options)) as unknown as Codec

  test(`the SDK's codec and ours agree on every operation of ${service.name}`, async () => {
    const schemas = await loadSchemas(service.name)
    assert.equal(Object.keys(schemas).length, service.operations)
    const random = seeded(20261121)
    for (const [name, schema] of Object.entries(schemas)) {
      const { input, output } = operationShapes(schema)
      assert.ok(Array.isArray(schema))
      const [, namespace, , traits, inputSchema, outputSchema]: unknown[] = schema
      const sdkOperation = { name, namespace, traits, input: inputSchema, output: outputSchema }
      const operation = compileOperation(name, schema, service, { holdsRules: false })

      const asked = valueOf(input, random)
      const { body } = await codec.serializeRequest(sdkOperation, asked, context)
      assert.deepEqual(operation.read(parseForm([body], defaultLimits)), asked, `${name}: request`)

      const given = structure(output, random)
      const xml = [...operation.write(given, "00000000-1111-2222-3333-444444444444")].join("")
      const response = { statusCode: 200, headers: {}, body: Buffer.from(xml) }
      const { $metadata: _, ...parsed } = await codec.deserializeResponse(sdkOperation, context, response)
      assert.deepEqual(parsed, given, `${name}: answer`)
    }
  })
}
