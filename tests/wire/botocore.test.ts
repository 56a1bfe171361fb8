/** Every operation that botocore knows, in both directions: its serializer to our reader, our writer to its parser. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { test } from "node:test"
import { parseForm } from "#wire/protocols/form.ts"
import { defaultLimits } from "#wire/protocols/limits.ts"
import { compileOperation, type Operation } from "#wire/protocols/query.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { operationShapes } from "#wire/schema/shape.ts"
import { knownServices } from "./services.ts"
import { seeded, structure } from "./values.ts"

interface Said {
  readonly onlyThere: string[]
  readonly requests: Record<string, { params: unknown; body: string }>
  readonly differences: string[]
}

const python = ["python3", "/usr/bin/python3"].find(
  (name) => spawnSync(name, ["-c", "import botocore"], { timeout: 20_000 }).status === 0,
)
const requestId = "00000000-1111-2222-3333-444444444444"

test(
  "botocore and our codec agree on every operation that both know",
  { skip: python ? false : "no python3 here can import botocore" },
  async (t) => {
    const random = seeded(7)
    const compiled = new Map<string, Operation>()
    const cases: Record<string, object[]> = {}
    for (const service of knownServices) {
      const list: object[] = (cases[service.name] = [])
      for (const [name, schema] of Object.entries(await loadSchemas(service.name))) {
        const { input, output } = operationShapes(schema)
        const operation = compileOperation(name, schema, service, { holdsRules: false })
        compiled.set(`${service.name}.${name}`, operation)
        const given = structure(output, random)
        list.push({
          operation: name,
          input: marked(structure(input, random)),
          output: marked(given),
          answer: [...operation.write(given, requestId)].join(""),
        })
      }
    }
    for (const [service, said] of Object.entries(askPython(cases))) {
      assert.deepEqual(said.differences, [], service)
      assert.deepEqual(said.onlyThere, [], `${service}: operations that the SDK lacks`)
      const asked = Object.entries(said.requests)
      const total = cases[service]?.length ?? 0
      t.diagnostic(`${service}: ${asked.length} of ${total} operations compared, botocore lacks the others`)
      // Debian 12's botocore, of 2023, knows 70 % of EC2.
      assert.ok(asked.length > total * 0.65)
      for (const [name, { params, body }] of asked) {
        const operation = compiled.get(`${service}.${name}`)
        assert.ok(operation)
        assert.deepEqual(marked(operation.read(parseForm([body], defaultLimits))), params, `${service} ${name}`)
      }
    }
  },
)

function askPython(cases: object): Record<string, Said> {
  const script = new URL("botocore_codec.py", import.meta.url).pathname
  const { status, stdout, stderr } = spawnSync(python ?? "python3", [script], {
    input: JSON.stringify(cases),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: 50_000,
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

/** As JSON can hold it. */
function marked(value: unknown): unknown {
  if (value instanceof Date) return { $time: value.getTime() }
  if (value instanceof Uint8Array) return { $blob: Buffer.from(value).toString("base64") }
  if (Array.isArray(value)) return value.map(marked)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, marked(each)]))
}
