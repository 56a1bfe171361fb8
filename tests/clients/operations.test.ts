/** Every operation that is done, over the wire with its main errors; every other one is refused by name. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { handlers as ec2Handlers } from "#services/ec2/service.ts"
import { handlers as stsHandlers } from "#services/sts/service.ts"
import { startSimDaemon } from "#tests/rig/daemon.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { ec2Checks, stsChecks } from "./operations/checks.ts"
import { openTestCloud, type TestCloud } from "./operations/cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
})
after(() => cloud?.close())

const checks = [
  ...Object.entries(ec2Checks).map(([name, check]) => ({ key: `ec2:${name}`, check })),
  ...Object.entries(stsChecks).map(([name, check]) => ({ key: `sts:${name}`, check })),
]

for (const { key, check } of checks)
  test(key, async () => {
    await check(cloud)
    assert.ok(cloud.served.has(key), "its check never got an answer from it")
  })

test("there is a check for every handler, and each was served and refused", () => {
  const done = [
    ...Object.keys(ec2Handlers).map((name) => `ec2:${name}`),
    ...Object.keys(stsHandlers).map((name) => `sts:${name}`),
  ]
  assert.deepEqual(checks.map(({ key }) => key).toSorted(), done.toSorted())
  assert.deepEqual(
    done.filter((key) => !cloud.served.has(key)),
    [],
  )
  // GetCallerIdentity takes nothing that could be wrong.
  assert.deepEqual(
    done.filter((key) => !cloud.refused.has(key)),
    ["sts:GetCallerIdentity"],
  )
})

test("what is not done answers UnsupportedOperation and its name, whatever it is given", async (t) => {
  const daemon = await startSimDaemon({ auth: "off" })
  t.after(() => daemon.stop())
  const versions = { ec2: "2016-11-15", sts: "2011-06-15" } as const
  const done = { ec2: ec2Handlers, sts: stsHandlers }
  let asked = 0
  for (const service of ["ec2", "sts"] as const)
    for (const Action of Object.keys(await loadSchemas(service))) {
      if (Object.hasOwn(done[service], Action)) continue
      const body = new URLSearchParams({ Action, Version: versions[service] })
      const answer = await fetch(daemon.endpoint, { method: "POST", body })
      const text = await answer.text()
      assert.equal(answer.status, 400, `${Action}: ${text}`)
      assert.match(text, /<Code>UnsupportedOperation<\/Code>/, Action)
      assert.ok(text.includes(`The operation ${Action} is not done`), text)
      asked++
    }
  assert.ok(asked > 700, `only ${asked} operations were asked`)
})
