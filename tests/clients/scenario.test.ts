/** The same session by the AWS CLI, boto3 and the JavaScript SDK, each with a cloud of its own: what they are told is the same. */
import assert from "node:assert/strict"
import { before, test, type TestContext } from "node:test"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { openBoto3 } from "./boto3.ts"
import { openCli } from "./scenario/cli.ts"
import type { Client } from "./scenario/client.ts"
import { assertSame } from "./scenario/compare.ts"
import { boto3, commandLines } from "./scenario/installed.ts"
import { type Line, runScenario } from "./scenario/run.ts"
import { openSdk } from "./scenario/sdk.ts"
import { steps } from "./scenario/steps.ts"

async function transcriptOf(
  t: Pick<TestContext, "after">,
  open: (daemon: SimDaemon) => Client,
): Promise<readonly Line[]> {
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  const client = open(daemon)
  try {
    return await runScenario(client, () => daemon.settled())
  } finally {
    await client.close()
  }
}

let expected: readonly Line[] = []
before(async () => {
  const late: (() => Promise<void>)[] = []
  try {
    expected = await transcriptOf({ after: (work) => void late.push(work as () => Promise<void>) }, openSdk)
  } finally {
    for (const work of late) await work()
  }
})

test("the JavaScript SDK is told what it asked for", () => {
  assert.equal(expected.length, steps.length)
  const of = (operation: string) => expected.filter((line) => line.operation === operation).map((line) => line.answer)
  const [dry, first, again] = of("RunInstances")
  assert.ok(dry !== undefined && "error" in dry)
  const ids = (answer: unknown) =>
    (answer as { result: { Instances: { InstanceId: string }[] } }).result.Instances.map((each) => each.InstanceId)
  assert.deepEqual(ids(first), ["<i 1>", "<i 2>"])
  assert.deepEqual(ids(again), ids(first), "a client token used again gives the same instances")
})

const python = boto3()
test("boto3 is told the same", { skip: python ? false : "no python3 here can import boto3" }, async (t) => {
  const { program, version, complete } = python ?? assert.fail()
  t.diagnostic(`boto3 ${version}`)
  assertSame(await transcriptOf(t, (daemon) => openBoto3(program, daemon)), expected, complete)
})

const found = commandLines()
test("an AWS CLI is here to be told", { skip: found.length > 0 ? false : "none on PATH, none in /usr/bin" }, () => {
  assert.ok(found.every(({ version }) => /^\d+\./.test(version)))
})
for (const { program, version, complete } of found)
  test(`the AWS CLI ${version} (${program}) is told the same`, async (t) => {
    assertSame(await transcriptOf(t, (daemon) => openCli(program, version, daemon)), expected, complete)
  })
