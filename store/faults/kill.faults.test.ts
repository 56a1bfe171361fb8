import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { allIds } from "../conformance/subject.ts"
import { openSqliteStore } from "../sqlite/open.ts"
import type { Store } from "../types.ts"

/** FRACTUS_FAULT_ROUNDS=300 for the long run. */
const rounds = Number(process.env["FRACTUS_FAULT_ROUNDS"] ?? 60)
const liveRounds = 200

/** Lets the process write, kills it at a moment it cannot know, and gives the rounds it acknowledged. */
async function writeAndKill(directory: string, round: number): Promise<number[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "writer-process.ts"), directory], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const ended = once(child, "close")
  let output = ""
  try {
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    // One in four dies while it opens; the others at work, some within the first commit.
    if (round % 4 === 0) await delay(20 + Math.random() * 180)
    else {
      const signal = AbortSignal.timeout(60_000)
      await once(child.stdout, "data", { signal })
      // On a busy machine a first commit takes longer than the delay: two in three of these await it.
      if (round % 4 < 3) while (!/^[0-9]+\n/m.test(output)) await once(child.stdout, "data", { signal })
      await delay(Math.random() * 120)
    }
  } finally {
    child.kill("SIGKILL")
    await ended
  }
  const complete = output.slice(0, output.lastIndexOf("\n") + 1)
  return complete
    .split("\n")
    .filter((line) => /^[0-9]+$/.test(line))
    .map(Number)
}

/** All that one commit makes is there, or nothing of it. Gives the highest round there is. */
async function checkWhole(store: Store): Promise<number> {
  const [lastClaim] = await store.claims("last")
  const last = Number(lastClaim?.owner ?? 0)
  const events = await store.changes(0, 1_000_000)
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, at) => at + 1),
  )
  const made = new Set(events.map(({ detail }) => JSON.stringify(detail)))
  assert.equal(made.size, events.length)

  const instances = new Set(await allIds(store, { limit: 1000 }))
  const volumes = new Set(await allIds(store, { kind: "volume", limit: 1000 }))
  const claims = new Map((await store.claims("round")).map(({ key, owner }) => [key, owner]))
  const assigned = new Set((await store.assignments("h")).map(({ resource }) => resource))
  const owned = await store.related([...instances], "to", "owned")
  assert.deepEqual(new Set(owned.map(({ from }) => from)), volumes)
  for (let round = Math.max(1, last - liveRounds - 50); round <= last + 50; round += 1) {
    const there = instances.has(`i-${round}`)
    assert.equal(volumes.has(`v-${round}`), there, `volume of ${round}`)
    assert.equal(claims.get(String(round)), there ? `v-${round}` : undefined, `claim of ${round}`)
    assert.equal(assigned.has(`i-${round}`), there, `assignment of ${round}`)
    if (there) assert.ok(made.has(JSON.stringify({ round })), `event of ${round}`)
    const found = await allIds(store, { facets: [{ name: "round", values: [String(round)] }] })
    assert.deepEqual(found, there ? [`i-${round}`] : [], `facet of ${round}`)
  }
  return last
}

test(`nothing acknowledged is lost and nothing is half made by kill -9, ${rounds} rounds`, async () => {
  const directory = mkdtempSync(join(tmpdir(), "fractus-kill-"))
  let acknowledgedInAll = 0
  try {
    for (let round = 0; round < rounds; round += 1) {
      const acknowledged = await writeAndKill(directory, round)
      acknowledgedInAll += acknowledged.length
      const store = await openSqliteStore({ directory })
      try {
        const last = await checkWhole(store)
        const made = new Set((await store.changes(0, 1_000_000)).map(({ detail }) => JSON.stringify(detail)))
        for (const each of acknowledged) assert.ok(made.has(JSON.stringify({ round: each })), `${each} was lost`)
        assert.ok(last >= Math.max(0, ...acknowledged.slice(-1)) - 8)
      } finally {
        await store.close()
      }
    }
    // Half of the rounds wait for a first commit; how many more they make depends on the machine.
    assert.ok(acknowledgedInAll >= rounds / 2, `only ${acknowledgedInAll} commits were made`)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
