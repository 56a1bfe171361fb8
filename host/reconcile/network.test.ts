import assert from "node:assert/strict"
import { test } from "node:test"
import { everything, guest, hostOver, simEngines, watch } from "../harness.ts"

const resyncMs = 30_000

test("a launch does not wait for a full look at the networks: it is taken when nothing asked for a pass, or is long overdue", async (context) => {
  const engines = await simEngines()
  let nowMs = 0
  const routines: (() => void)[] = []
  const host = hostOver(engines, {
    resyncMs,
    clock: { ...engines.clock, monotonicMs: () => nowMs },
    timer(delayMs, action) {
      if (delayMs === resyncMs) return (void routines.push(action), () => {})
      const timer = setTimeout(action, delayMs)
      return () => clearTimeout(timer)
    },
  })
  context.after(async () => {
    await host.close()
    await engines.dispose()
  })
  const seen = watch(host)
  const looks = () => engines.calls.filter((call) => call === "network.up").length
  const launch = async (generation: number) => {
    await host.assign("i-1", generation, guest)
    await seen.until("i-1", "on", generation)
    await host.assign("i-1", generation + 1, undefined)
    await seen.until("i-1", "absent", generation + 1)
    await host.idle()
  }
  await host.sync(everything.filter(({ resource }) => resource !== "i-1" && resource !== "fl-1"))
  await seen.until("vpc-1", "ready", 1)
  assert.equal(looks(), 1)

  nowMs += resyncMs - 1
  await launch(2)
  assert.equal(looks(), 1)

  routines.splice(0).forEach((action) => action())
  for (const end = performance.now() + 20_000; looks() < 2 && performance.now() < end;)
    await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(looks(), 2)

  nowMs += 2 * resyncMs
  await launch(4)
  assert.equal(looks(), 3)
})
