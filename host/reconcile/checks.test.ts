/** When a guest that answers or not is said to, on a clock of the test's own. The answers themselves are engine/network's to test. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { systemClock } from "#lib/clock.ts"
import type { GuestAgent } from "#engine/hypervisor/types.ts"
import { openSimNetwork } from "#engine/network/sim/open.ts"
import { type CheckedGuest, checkTimes, startChecks } from "./checks.ts"

async function rig(t: TestContext) {
  const stateDirectory = await mkdtemp(join(tmpdir(), "fractus-checks-"))
  t.after(() => rm(stateDirectory, { recursive: true, force: true }))
  const guests: CheckedGuest[] = ["i-1", "i-2"].map((id) => ({ id, run: "1", network: "vpc-1", port: `eni-${id}` }))
  const answering = new Set<string>()
  const agents = new Map<string, GuestAgent>()
  const asked: string[][] = []
  const askedAgents: string[] = []
  const changed: string[] = []
  let nowMs = 0
  const ticks: (() => void)[] = []
  const network = {
    ...(await openSimNetwork({ publicCidr: "198.18.0.0/24" })),
    name: "linux" as const,
    async answering(_: string, ports: readonly string[]) {
      asked.push([...ports])
      return new Set(ports.filter((port) => answering.has(port)))
    },
  }
  const checks = startChecks({
    network,
    hypervisor: {
      async guestAgent(id) {
        askedAgents.push(id)
        return agents.get(id) ?? "none"
      },
    },
    stateDirectory,
    clock: { ...systemClock(), monotonicMs: () => nowMs },
    guests: () => guests,
    changed: (guest) => void changed.push(guest),
    timer(delayMs, action) {
      // The disk's own deadline is another.
      if (delayMs === checkTimes.roundMs) ticks.push(action)
      return () => {}
    },
    log: () => {},
    times: checkTimes,
  })
  return {
    guests,
    answering,
    agents,
    asked,
    askedAgents,
    changed,
    stateDirectory,
    of: (id: string, run = "1") => checks.of(id, run),
    /** Rounds until so much time has passed. */
    pass: async (ms: number) => {
      for (const end = nowMs + ms; nowMs < end;) {
        nowMs += checkTimes.roundMs
        const round = ticks.shift()
        round?.()
        while (ticks.length === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

test("a guest passes with its first answer, fails after a minute of silence, and passes with the next one", async (t) => {
  const { answering, of, pass, changed, asked } = await rig(t)
  await pass(30_000)
  assert.deepEqual(of("i-1"), { system: "passed" })
  answering.add("eni-i-1")
  await pass(3_000)
  assert.deepEqual([of("i-1"), of("i-2")], [{ instance: "passed", system: "passed" }, { system: "passed" }])
  asked.length = 0
  await pass(30_000)
  assert.equal(asked.filter((ports) => ports.includes("eni-i-1")).length, 1, "every half minute, while it answers")
  answering.clear()
  await pass(54_000)
  assert.equal(of("i-1").instance, "passed")
  await pass(9_000)
  assert.equal(of("i-1").instance, "failed")
  assert.equal(of("i-2").instance, undefined, "it has five minutes for its boot")
  answering.add("eni-i-1")
  await pass(12_000)
  assert.equal(of("i-1").instance, "passed")
  await pass(165_000)
  assert.equal(of("i-2").instance, "failed")
  assert.deepEqual(changed, ["i-1", "i-1", "i-1", "i-2"])
})

test("who answers ARP passes, whatever its agent says, and the agent is not asked", async (t) => {
  const { answering, agents, askedAgents, of, pass, changed } = await rig(t)
  answering.add("eni-i-1").add("eni-i-2")
  agents.set("i-1", "silent")
  await pass(400_000)
  assert.deepEqual([of("i-1").instance, of("i-2").instance], ["passed", "passed"])
  assert.deepEqual([askedAgents, changed], [[], ["i-1", "i-2"]])
})

test("the agent of a guest that is silent tells a broken network from a dead guest", async (t) => {
  const { answering, agents, of, pass, changed } = await rig(t)
  answering.add("eni-i-1").add("eni-i-2")
  await pass(3_000)
  answering.clear()
  agents.set("i-1", "answers").set("i-2", "silent")
  await pass(54_000)
  assert.deepEqual(of("i-1"), { instance: "passed", system: "passed" }, "a minute of silence, as without an agent")
  await pass(9_000)
  const failed = { instance: "failed", system: "passed" }
  assert.deepEqual(
    [of("i-1"), of("i-2")],
    [
      { ...failed, agent: "answers" },
      { ...failed, agent: "silent" },
    ],
  )
  changed.length = 0
  agents.set("i-1", "silent")
  await pass(30_000)
  assert.deepEqual([of("i-1"), changed], [{ ...failed, agent: "silent" }, ["i-1"]])
  answering.add("eni-i-1")
  await pass(12_000)
  assert.deepEqual(of("i-1"), { instance: "passed", system: "passed" })
})

test("a guest whose agent answers has two minutes for its network, and its whole boot otherwise", async (t) => {
  const { agents, guests, of, pass } = await rig(t)
  await pass(30_000)
  agents.set("i-1", "answers").set("i-2", "silent")
  await pass(114_000)
  assert.equal(of("i-1").instance, undefined)
  await pass(9_000)
  assert.deepEqual(of("i-1"), { instance: "failed", agent: "answers", system: "passed" })
  assert.equal(of("i-2").instance, undefined, "a silent agent says nothing before its first answer")
  guests[0] = { ...guests[0]!, run: "2" }
  await pass(30_000)
  assert.equal(of("i-1", "2").instance, undefined, "another run begins anew")
})

test("what was known of a guest counts no more after a reset, and nothing is left of one that is gone", async (t) => {
  const { guests, answering, of, pass, changed } = await rig(t)
  answering.add("eni-i-1").add("eni-i-2")
  await pass(3_000)
  guests[0] = { ...guests[0]!, run: "2" }
  assert.equal(of("i-1", "2").instance, undefined)
  answering.clear()
  await pass(200_000)
  assert.equal(of("i-1", "2").instance, undefined, "its boot may take five minutes")
  guests.shift()
  await pass(3_000)
  assert.equal(of("i-1", "2").instance, undefined)
  assert.deepEqual(changed, ["i-1", "i-2", "i-2"])
})

test("a disk that cannot be written fails the system check of all", async (t) => {
  const { of, pass, stateDirectory, changed } = await rig(t)
  await pass(3_000)
  await rm(stateDirectory, { recursive: true })
  await pass(36_000)
  assert.deepEqual([of("i-1").system, of("i-2").system], ["failed", "failed"])
  assert.deepEqual(changed, ["i-1", "i-2"])
})
