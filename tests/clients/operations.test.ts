/** Every operation that is done, over the wire with its main errors; every other one is refused by name. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startSimDaemon } from "#tests/rig/daemon.ts"
import { loadSchemas } from "#wire/schema/load.ts"
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

for (const { key, check } of checks)
  test(key, async () => {
    await check(cloud)
    assert.ok(cloud.served.has(key), "its check never got an answer from it")
  })

/** Nothing that such an operation is given could be wrong. */
const takesNothing = ["sts:GetCallerIdentity"]

test("there is a check for every handler, and each was served and refused", () => {
  const done = services.flatMap(({ name, handlers }) => Object.keys(handlers).map((each) => `${name}:${each}`))
  assert.deepEqual(checks.map(({ key }) => key).toSorted(), done.toSorted())
  assert.deepEqual(
    done.filter((key) => !cloud.served.has(key)),
    [],
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
    for (const operation of Object.keys(await loadSchemas(name))) {
      if (Object.hasOwn(handlers, operation)) continue
      const { status, text } = await ask(daemon.endpoint, name, operation, version)
      assert.equal(status, 400, `${operation}: ${text}`)
      assert.ok(text.includes(refusal), `${operation}: ${text}`)
      assert.ok(text.includes(`The operation ${operation} is not done`), text)
      asked++
    }
  assert.ok(asked > 800, `only ${asked} operations were asked`)
})

/** An empty request for an operation, in its service's protocol. */
async function ask(endpoint: string, name: ServiceName, Action: string, Version: string) {
  const target = targets[name]
  const answer = target
    ? await fetch(endpoint, { method: "POST", headers: { "x-amz-target": `${target}.${Action}` }, body: "{}" })
    : await fetch(endpoint, { method: "POST", body: new URLSearchParams({ Action, Version }) })
  return { status: answer.status, text: await answer.text() }
}

const targets: Readonly<Partial<Record<ServiceName, string>>> = {
  ssm: "AmazonSSM",
  servicequotas: "ServiceQuotasV20190624",
  cloudtrail: "CloudTrail_20131101",
  tagging: "ResourceGroupsTaggingAPI_20170126",
}
