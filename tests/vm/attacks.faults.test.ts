/**
 * Root in a real guest against its neighbour, another account's guest, the host, and what all share. A table of what was tried
 * and what came of it is printed. Each port's own wire is tried frame by frame in engine/network/linux/attacks.vm.test.ts.
 */
import assert from "node:assert/strict"
import { test } from "node:test"
import { floods } from "./attacks-floods.ts"
import { frames } from "./attacks-frames.ts"
import { reaches } from "./attacks-reaches.ts"
import { setScene } from "./attacks-scene.ts"
import { startCloud } from "./cloud.ts"
import { leftOf } from "./orphans.ts"

test("root in a guest harms nobody else: a table of attacks and what came of them", async (t) => {
  const startMs = performance.now()
  const cloud = await startCloud(t, 5301)
  const scene = await setScene(t, cloud)
  t.diagnostic(`the guests are ready after ${Math.round(performance.now() - startMs)} ms`)
  const failed: unknown[] = []
  const table = Object.entries({ frame: frames, reach: reaches, flood: floods })
  for (const [kind, attacks] of table)
    for (const [what, outcome] of attacks) {
      const said = await outcome(scene).catch((error: unknown) => {
        failed.push(error)
        return `FAILED: ${String(error)}`
      })
      t.diagnostic(`${kind}  ${what.padEnd(72)} ${said}`)
    }
  t.diagnostic(`all were tried after ${Math.round(performance.now() - startMs)} ms`)
  await cloud.down()
  assert.deepEqual(failed, [])
  assert.deepEqual(leftOf(cloud), [], "after down")
})
