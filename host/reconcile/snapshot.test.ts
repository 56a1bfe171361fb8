/** Snapshots: of a guest that stands still, of one that is shut down for them; and what becomes of both when calls fail or the host dies. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { everything, hostOver, longLife, simEngines, watch, type Engines, type Life } from "../harness.ts"
import type { SnapshotAssignment, Spec } from "../protocol/types.ts"

const set = [{ id: "snap-1", from: { volume: "vol-1" } }] as const
const snapshot: SnapshotAssignment = { kind: "snapshot", ...set[0], set, guest: "i-1" }
const resting: Spec = { ...snapshot, atRest: true }

function open(engines: Engines, life: Life = longLife()) {
  const host = hostOver(engines, {}, life)
  return { host, seen: watch(host) }
}

async function scene(t: TestContext) {
  const engines = await simEngines()
  const opened = open(engines)
  t.after(async () => {
    await opened.host.close()
    await engines.dispose()
  })
  await opened.host.sync(everything)
  await opened.seen.until("i-1", "on", 1)
  await opened.host.idle()
  engines.calls.length = 0
  return { engines, ...opened }
}

/** Which of these calls were made, in their order. */
const told = ({ calls }: Engines, ...names: readonly string[]) =>
  calls.map((call) => call.split(" ")[0] ?? "").filter((call) => names.includes(call))

test("a guest that is to stand still is not shut down", async (t) => {
  const { engines, host, seen } = await scene(t)
  await host.assign("snap-1", 1, snapshot)
  await seen.until("snap-1", "ready", 1)
  await host.idle()
  assert.deepEqual(told(engines, "hypervisor.requestShutdown", "hypervisor.prepare", "hypervisor.kill"), [])
  assert.deepEqual(told(engines, "hypervisor.whileStill"), ["hypervisor.whileStill"])
  assert.deepEqual(await engines.storage.listSnapshots(), ["snap-1"])
  await host.assign("snap-1", 2, { ...snapshot, set: [] })
  await seen.until("snap-1", "ready", 2)
  await host.assign("snap-1", 3, undefined)
  await seen.until("snap-1", "absent", 3)
  assert.deepEqual(await engines.storage.listSnapshots(), [])
})

test("a guest that is to be at rest is shut down, and started again though nobody asked for another start", async (t) => {
  const { engines, host, seen } = await scene(t)
  await host.assign("snap-1", 1, resting)
  await seen.until("snap-1", "ready", 1)
  await host.idle()
  const { starts } = await seen.guestUntil("i-1", "on", 1)
  assert.equal(starts, 1)
  const all = ["hypervisor.requestShutdown", "storage.createSnapshots", "hypervisor.prepare", "hypervisor.resume"]
  assert.deepEqual(told(engines, ...all), all)
  assert.equal((await engines.hypervisor.inspect("i-1")).phase, "running")
})

test("what cannot be made is told at once, and the guest runs", async (t) => {
  const { host, seen } = await scene(t)
  const gone = { ...snapshot, atRest: true, set: [{ id: "snap-1", from: { volume: "vol-9" } }] }
  await host.assign("snap-1", 1, gone)
  assert.equal((await seen.troubled("snap-1", "no-source")).final, true)
  await seen.until("i-1", "on", 1)
  await host.idle()
  await host.assign("snap-2", 1, { ...snapshot, id: "snap-2", set: [] })
  assert.match((await seen.troubled("snap-2", "no-source")).message, /bytes are gone/)
})

test("a volume that nobody wishes any more stays until its snapshot is made, and a snapshot until its volume is", async (t) => {
  const { engines, host, seen } = await scene(t)
  await host.assign("i-1", 2, undefined)
  await host.assign("snap-1", 1, resting)
  await host.assign("vol-1", 2, undefined)
  await seen.until("vol-1", "absent", 2)
  assert.deepEqual(await engines.storage.listSnapshots(), ["snap-1"])
  await host.assign("vol-2", 1, { kind: "volume", id: "vol-2", sizeBytes: 1 << 30, snapshot: "snap-1" })
  await host.assign("snap-1", 2, undefined)
  await seen.until("snap-1", "absent", 2)
  await host.idle()
  assert.deepEqual(await engines.storage.listVolumes(), ["vol-2"])
})

for (const end of ["throws", "dies before"] as const)
  test(`whichever call ${end === "throws" ? "fails" : `the host ${end}`}, the snapshot is made and the guest runs in the end`, async () => {
    let died = true
    for (let at = 0; died; at += 2) {
      const engines = await simEngines()
      const before = open(engines)
      await before.host.sync(everything)
      await before.seen.until("i-1", "on", 1)
      await before.host.close()
      engines.calls.length = 0
      const death = Promise.withResolvers<boolean>()
      const life: Life = { ...longLife(), at, end, onDeath: () => death.resolve(true) }
      const wished = [...everything, { resource: "snap-1", generation: 1, spec: resting }]
      const finish = async ({ host, seen }: ReturnType<typeof open>) => {
        await host.sync(wished).catch(() => host.sync(wished))
        await seen.until("snap-1", "ready", 1)
        await seen.until("i-1", "on", 1)
        await host.idle()
      }
      const first = open(engines, life)
      try {
        died = await Promise.race([death.promise, finish(first).then(() => end === "throws" && life.next > at)])
        if (end !== "throws" && died) {
          first.seen.stop()
          void first.host.close()
          const heir = open(engines)
          await finish(heir)
          await heir.host.close()
        } else await first.host.close()
        assert.deepEqual(await engines.storage.listSnapshots(), ["snap-1"])
        assert.equal((await engines.hypervisor.inspect("i-1")).phase, "running")
      } catch (error) {
        throw new Error(`with call ${at}, ${engines.calls[at]}`, { cause: error })
      } finally {
        await engines.dispose()
      }
    }
  })
