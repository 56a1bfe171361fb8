/**
 * The same session by a playbook of Debian's ansible (amazon.aws, boto3 1.26) and by the JavaScript SDK, each with a cloud of its own: what
 * the modules tell is what the SDK is told. Its modules start a Python each and wait by the clock, so it takes a minute or two.
 */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { startSimDaemon } from "#tests/rig/daemon.ts"
import { play } from "./ansible/play.ts"
import { session } from "./ansible/session.ts"
import { alike } from "./ansible/told.ts"
import { assertSame } from "./scenario/compare.ts"
import { type Line, runSteps } from "./scenario/run.ts"
import { openSdk } from "./scenario/sdk.ts"
import { normalise } from "./scenario/transcript.ts"

/** Turn by turn, comparable. */
const lines = (told: readonly unknown[]): readonly Line[] =>
  normalise(
    session.map(({ name }, index) => ({ operation: name, answer: { result: { told: alike(told[index]) } } })),
  ) as readonly Line[]

async function bySdk(t: TestContext): Promise<readonly Line[]> {
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  const client = openSdk(daemon)
  const kept = new Map<string, string>()
  const told: unknown[] = []
  try {
    for (const { steps, same } of session) {
      const answers = await runSteps(client, () => daemon.settled(), steps, kept)
      told.push(same(answers.map(({ answer }) => ("result" in answer ? answer.result : { ...answer.error }))))
    }
  } finally {
    await client.close()
  }
  return lines(told)
}

async function byAnsible(t: TestContext): Promise<readonly Line[]> {
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  const folder = await mkdtemp(join(tmpdir(), "fractus-ansible-"))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const results = await play(session, daemon, folder)
  return lines(session.map(({ told }, index) => told(results[index] ?? assert.fail(`no result of turn ${index}`))))
}

test("ansible is told the same as the JavaScript SDK", async (t) => {
  assert.ok(
    existsSync("/usr/bin/ansible-playbook"),
    "there is no ansible: apt-get install --no-install-recommends ansible",
  )
  const expected = await bySdk(t)
  // boto3 1.26 knows fewer members than today's answers have.
  assertSame(await byAnsible(t), expected, false)
})
