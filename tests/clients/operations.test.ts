/** Every operation that is done, over the wire with its main errors; every other one is refused by name. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startSimDaemon } from "#tests/rig/daemon.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { operationHttp, operationShapes } from "#wire/schema/shape.ts"
import { services } from "./operations/checks.ts"
import { openTestCloud, type ServiceName, type TestCloud } from "./operations/cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
})
after(() => cloud?.close())

const checks = services.flatMap(({ name, checks }) =>
  Object.entries(checks).map(([operation, check]) => ({ key: `${name}:${operation}`, check })),
)

/** Refused by simulated instances, and served in tests/vm/serial-console.faults.test.ts. */
const onRealGuests = ["ec2-instance-connect:SendSerialConsoleSSHPublicKey"]

for (const { key, check } of checks)
  test(key, async () => {
    await check(cloud)
    assert.ok(cloud.served.has(key) || onRealGuests.includes(key), "its check never got an answer from it")
  })

/** Nothing that such an operation is given could be wrong. */
const takesNothing = ["sts:GetCallerIdentity"]

test("there is a check for every handler, and each was served and refused", () => {
  const done = services.flatMap(({ name, handlers }) => Object.keys(handlers).map((each) => `${name}:${each}`))
  assert.deepEqual(checks.map(({ key }) => key).toSorted(), done.toSorted())
  assert.deepEqual(
    done.filter((key) => !cloud.served.has(key)),
    onRealGuests,
  )
  assert.deepEqual(
    done.filter((key) => !cloud.refused.has(key)),
    takesNothing,
  )
})

test("what is not done answers UnsupportedOperation and its name, whatever it is given", async (t) => {
  const daemon = await startSimDaemon({ auth: "off" })
  t.after(() => daemon.stop())
  let asked = 0
  for (const { name, handlers, version, refusal } of services)
    for (const [operation, schema] of Object.entries(await loadSchemas(name))) {
      // WriteGetObjectResponse is spoken to another endpoint, S3 Object Lambda's.
      if (Object.hasOwn(handlers, operation) || operation === "WriteGetObjectResponse") continue
      const { status, text } = await ask(daemon.endpoint, name, operation, version, schema)
      assert.equal(status, name === "s3" ? 501 : 400, `${operation}: ${text}`)
      if (text === "" && operation.startsWith("Head")) continue
      assert.ok(text.includes(refusal), `${operation}: ${text}`)
      assert.ok(text.includes(`The operation ${operation} is not done`), text)
      asked++
    }
  assert.ok(asked > 800, `only ${asked} operations were asked`)
})

/** An empty request for an operation, in its service's protocol. */
async function ask(endpoint: string, name: ServiceName, Action: string, Version: string, schema: unknown) {
  const target = targets[name]
  const answer =
    name === "s3" || name === "account"
      ? await askRest(endpoint, name, schema)
      : target
        ? await fetch(endpoint, { method: "POST", headers: { "x-amz-target": `${target}.${Action}` }, body: "{}" })
        : await fetch(endpoint, { method: "POST", body: new URLSearchParams({ Action, Version }) })
  // REST JSON says the code in a header.
  const code = answer.headers.get("x-amzn-errortype") ?? ""
  return { status: answer.status, text: code + (await answer.text()) }
}

/** Method, path and query as the schema says, with something for all that is required there. */
function askRest(endpoint: string, service: ServiceName, schema: unknown): Promise<Response> {
  const { method, uri } = operationHttp(schema)
  const { input } = operationShapes(schema)
  const all = input.kind === "struct" ? input.members() : []
  const members = all.filter(({ required, binding }) => required || binding?.in === "label")
  const namesIn = (place: string) => members.flatMap(({ binding }) => (binding?.in === place ? [binding.name] : []))
  const bucket = namesIn("label").length > 0 ? "/bucket" : ""
  const [path = "", literal = ""] = uri.split("?", 2)
  const query = [literal, ...namesIn("query").map((each) => `${each}=1`)].filter((each) => each !== "").join("&")
  const signature = `SignedHeaders=host, Signature=${"a".repeat(64)}`
  const headers = {
    "x-amz-date": "20260102T030405Z",
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/${service}/aws4_request, ${signature}`,
    ...Object.fromEntries(namesIn("header").map((each) => [each, "1"])),
  }
  return fetch(`${endpoint}${bucket}${path.replace("{Key+}", "key")}?${query}`, { method, headers })
}

const targets: Readonly<Partial<Record<ServiceName, string>>> = {
  ssm: "AmazonSSM",
  "ec2-instance-connect": "AWSEC2InstanceConnectService",
  servicequotas: "ServiceQuotasV20190624",
  cloudtrail: "CloudTrail_20131101",
  tagging: "ResourceGroupsTaggingAPI_20170126",
}
