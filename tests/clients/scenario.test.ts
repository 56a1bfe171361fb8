/** The same session by the AWS CLI, boto3 and the JavaScript SDK, each with a cloud of its own: what they are told is the same. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { existsSync, realpathSync } from "node:fs"
import { before, test, type TestContext } from "node:test"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { findPython } from "./python.ts"
import { openBoto3 } from "./boto3.ts"
import { openCli } from "./scenario/cli.ts"
import type { Client } from "./scenario/client.ts"
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

/** The version an AWS CLI names itself, or undefined where there is none. */
function cliVersion(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8", timeout: 30_000 })
  return status === 0 ? /^aws-cli\/(\S+)/.exec(stdout)?.[1] : undefined
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

/** One line at a time: a difference names its operation. */
function assertSame(actual: readonly Line[], want: readonly Line[] = expected): void {
  assert.equal(expected.length, steps.length)
  assert.equal(actual.length, want.length)
  for (const [index, line] of actual.entries()) assert.deepEqual(line, want[index], `step ${index}, ${line.operation}`)
}

/** The first releases that know every member of these answers: older ones, as distributions have them, leave some out. */
const complete: Readonly<Record<string, number>> = { "1": 43, "2": 32 }

function isComplete(version: string): boolean {
  const [major = "", minor = ""] = version.split(".")
  return Number(minor) >= (complete[major] ?? 0)
}

/** Operations that answered nothing in the older releases. */
const onceSilent = new Set(["DeleteKeyPair", "DeleteSecurityGroup"])

/** What is expected of a client that knows no more members than it showed. One that showed nothing at all is not believed. */
function asFarAsShown(want: unknown, shown: unknown): unknown {
  if (typeof want !== "object" || want === null || typeof shown !== "object" || shown === null) return want
  if (Array.isArray(want))
    return want.map((each, index) => asFarAsShown(each, Array.isArray(shown) ? shown[index] : undefined))
  const known = Object.entries(want).filter(([name]) => Object.hasOwn(shown, name))
  if (known.length === 0) return want
  return Object.fromEntries(
    known.map(([name, each]) => [name, asFarAsShown(each, (shown as Record<string, unknown>)[name])]),
  )
}

function toOldClient(lines: readonly Line[]): readonly Line[] {
  return expected.map((line, index) =>
    onceSilent.has(line.operation) && "result" in line.answer
      ? { ...line, answer: { result: {} } }
      : (asFarAsShown(line, lines[index]) as Line),
  )
}

test("the JavaScript SDK is told what it asked for", () => {
  const of = (operation: string) => expected.filter((line) => line.operation === operation).map((line) => line.answer)
  const [dry, first, again] = of("RunInstances")
  assert.ok(dry !== undefined && "error" in dry)
  const ids = (answer: unknown) =>
    (answer as { result: { Instances: { InstanceId: string }[] } }).result.Instances.map((each) => each.InstanceId)
  assert.deepEqual(ids(first), ["<i 1>", "<i 2>"])
  assert.deepEqual(ids(again), ids(first), "a client token used again gives the same instances")
})

/** Of boto3, the first release that knows every member. */
const completeBoto3 = [1, 41] as const

function boto3Version(python: string): readonly [number, number] {
  const script = "import boto3; print(boto3.__version__)"
  const { stdout } = spawnSync(python, ["-c", script], { encoding: "utf8", timeout: 30_000 })
  const [major = 0, minor = 0] = stdout.split(".").map(Number)
  return [major, minor]
}

const python = findPython("boto3")
test("boto3 is told the same", { skip: python ? false : "no python3 here can import boto3" }, async (t) => {
  const [major, minor] = boto3Version(python ?? "")
  t.diagnostic(`boto3 ${major}.${minor}`)
  const old = major === completeBoto3[0] && minor < completeBoto3[1]
  const lines = await transcriptOf(t, (daemon) => openBoto3(python ?? "", daemon))
  assertSame(lines, old ? toOldClient(lines) : expected)
})

/** The first on PATH and the system's, where that is another one. */
function commandLines(): readonly string[] {
  const found = spawnSync("sh", ["-c", "command -v aws"], { encoding: "utf8" }).stdout.trim()
  const system = "/usr/bin/aws"
  const same = found !== "" && existsSync(system) && realpathSync(found) === realpathSync(system)
  return same ? ["aws"] : ["aws", system]
}

for (const program of commandLines()) {
  const version = cliVersion(program)
  const skip = version === undefined ? `there is no ${program}` : false
  test(`the AWS CLI ${version ?? ""} (${program}) is told the same`, { skip }, async (t) => {
    const lines = await transcriptOf(t, (daemon) => openCli(program, version ?? "", daemon))
    assertSame(lines, isComplete(version ?? "") ? expected : toOldClient(lines))
  })
}
