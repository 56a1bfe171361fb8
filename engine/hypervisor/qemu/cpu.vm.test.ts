/** A guest that computes without end gets the share of CPU that it is given, while it runs and at once. */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "#lib/clock.ts"
import { until } from "../conformance.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

test("a share of CPU is kept to while it stands, and is gone when it is lifted", async (t) => {
  const home = mkdtempSync(path.join(tmpdir(), "fr-hv-cpu-"))
  const stateDirectory = path.join(home, "state")
  mkdirSync(stateDirectory)
  const place = { runDirectory: path.join(home, "run"), stateDirectory, prefix: path.basename(home) }
  const engine = await openQemu({ ...place, clock: systemClock(), log: () => {} })
  const id = "i-busy"
  t.after(async () => {
    await engine.kill(id)
    await engine.remove(id)
    await engine.close()
    rmSync(home, { recursive: true, force: true })
  })
  const used = async () => (await engine.cpuTimes()).get(id)?.usedMs ?? assert.fail("it is gone")
  /** Hundredths of a CPU over the next seconds. Only looking for a while shows a share. */
  const share = async () => {
    const [beforeMs, startMs] = [await used(), performance.now()]
    await sleep(1500)
    return ((await used()) - beforeMs) / ((performance.now() - startMs) / 100)
  }
  await engine.prepare(tinySpec(id, path.join(home, "disk.raw"), "chatty"))
  await engine.resume(id)
  /** How much it gets without a limit depends on who else is busy here; at some moment it is more than a tenth. */
  const free = () => until("more than its share", async () => ((await share()) > 20 ? true : undefined), 120_000)
  await free()
  if (!(await engine.limitCpu(id, 10))) return t.skip("no control group of CPU can be written here")
  const limited = await share()
  await engine.limitCpu(id, 100)
  await free()
  t.diagnostic(`limited to 10: ${limited.toFixed(1)}`)
  assert.ok(limited > 1 && limited < 14, `limited to 10, it takes ${limited}`)
})
