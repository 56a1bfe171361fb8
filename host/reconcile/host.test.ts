import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { everything, guest, hostOver, simEngines, watch } from "../harness.ts"

async function scene(t: TestContext) {
  const engines = await simEngines()
  const host = hostOver(engines)
  t.after(async () => {
    await host.close()
    await engines.dispose()
  })
  return { engines, host, seen: watch(host) }
}

test("a guest starts once what it needs is there, and its metadata before its first instruction", async (t) => {
  const { engines, host, seen } = await scene(t)
  await host.sync(everything)
  const status = await seen.guestUntil("i-1", "on", 1)
  await host.idle()
  assert.equal(status.starts, 1)
  assert.deepEqual(seen.phases("i-1"), ["starting", "on"])
  assert.deepEqual([...engines.metadata.documents.keys()], ["100.65.17.112"])
  assert.equal(host.pending(), 0)
})

test("a guest that powered itself off stays off until it is started again", async (t) => {
  const { engines, host, seen } = await scene(t)
  await host.sync(everything)
  await seen.until("i-1", "on", 1)
  engines.sim.powerOff("i-1")
  const off = await seen.guestUntil("i-1", "off", 1)
  assert.equal(off.cause, "guest-shutdown")
  await host.idle()
  assert.deepEqual([...engines.metadata.documents.keys()], [])
  await host.assign("i-1", 2, { ...guest, starts: 2 })
  assert.equal((await seen.guestUntil("i-1", "on", 2)).starts, 2)
})
