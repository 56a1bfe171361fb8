/** Accounts over restarts of the host, on a machine of the test's own. Real guests: tests/vm/credits.test.ts. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { openSim } from "#engine/hypervisor/sim/sim.ts"
import { keepCredits, type PaidGuest, roundMs } from "./keeper.ts"

const hourMs = 3_600_000
const account = { perHour: 12, most: 288, atStart: 0, keptMs: 7 * 24 * hourMs, surplus: false }

async function rig(t: TestContext) {
  const stateDirectory = await mkdtemp(join(tmpdir(), "fractus-credits-"))
  t.after(() => rm(stateDirectory, { recursive: true, force: true }))
  const clock = { ...systemClock(), cloudMs: () => now.ms }
  const now = { ms: 0, process: "1@1", usedMs: 0 }
  const limits: number[] = []
  const sim = await openSim({ clock: systemClock() })
  const hypervisor = {
    ...sim,
    name: "qemu" as const,
    cpuTimes: async () => new Map([["i-1", { process: now.process, usedMs: now.usedMs }]]),
    limitCpu: async (_: string, percent: number) => limits.push(percent) > 0,
  }
  const open = (guests: readonly PaidGuest[] | undefined, bootId = "a boot") => {
    const rounds: (() => void)[] = []
    const keeper = keepCredits({
      hypervisor,
      clock,
      stateDirectory,
      bootId,
      guests: () => guests,
      timer: (delayMs, action) => (delayMs === roundMs && rounds.push(action), () => {}),
      log: (message) => assert.fail(message),
    })
    const look = async () => {
      rounds.shift()?.()
      // A round reads and writes one small file.
      await keeper.settled()
    }
    return { keeper, look }
  }
  return { now, limits, open, file: join(stateDirectory, "credits.json") }
}
const guest: PaidGuest = { id: "i-1", account, starts: 1, whole: 200 }

test("a standard guest gets its baseline, more when it has earned, and all that was used between two hosts is counted", async (t) => {
  const { now, limits, open, file } = await rig(t)
  const first = open([guest])
  await first.look()
  assert.deepEqual(limits, [20])
  now.ms += hourMs
  await first.look()
  assert.deepEqual(limits, [20, 200])
  assert.equal(first.keeper.of("i-1", account)?.earned, 12)
  await first.keeper.close()

  now.ms += hourMs
  now.usedMs += 20 * 60_000
  limits.length = 0
  const second = open([guest])
  await second.look()
  assert.deepEqual([second.keeper.of("i-1", account)?.earned, limits], [4, [200]])
  await second.keeper.close()

  const rebooted = open([guest], "another boot")
  Object.assign(now, { process: "7@7", usedMs: 0, ms: now.ms + hourMs })
  await rebooted.look()
  assert.equal(rebooted.keeper.of("i-1", account)?.earned, 4, "a machine that is off earns nothing")
  await rebooted.keeper.close()

  const unknown = open(undefined, "another boot")
  await unknown.look()
  await unknown.keeper.close()
  assert.match(await readFile(file, "utf8"), /"i-1"/, "before all guests are known, none is forgotten")
  const gone = open([])
  await gone.look()
  await gone.keeper.close()
  assert.doesNotMatch(await readFile(file, "utf8"), /"i-1"/)
})

test("a file that is broken holds nothing, and a guest that is off has no share", async (t) => {
  const { now, open, file } = await rig(t)
  for (const text of ["{", '{"schema":1,"balances":{"i-1":{"earned":"all"}}}', "null"]) {
    await writeFile(file, text)
    const { keeper, look } = open([guest])
    now.ms += hourMs
    await look()
    assert.equal(keeper.of("i-1", account)?.earned, 0, text)
    await keeper.close()
  }
  const off = open([{ ...guest, starts: undefined }])
  await off.look()
  assert.equal(off.keeper.of("i-1", account), undefined)
  await off.keeper.close()
})
