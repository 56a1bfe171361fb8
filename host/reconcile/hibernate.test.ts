/** Guests that are to be off with their memory kept, over engines in memory. */
import assert from "node:assert/strict"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { type Engines, everything, filesOf, guest, hostOver, simEngines, watch } from "../harness.ts"
import type { HostOptions } from "../types.ts"

async function open(engines: Engines, more: Partial<HostOptions> = {}) {
  const connection = hostOver(engines, more)
  return { connection, seen: watch(connection), close: () => connection.close() }
}

async function scene(t: TestContext) {
  const engines = await simEngines()
  const opened = await open(engines)
  t.after(async () => {
    await opened.close()
    await engines.dispose()
  })
  return { engines, ...opened }
}

/** How often a simulated guest has begun, by what it said. */
const beginnings = async (engines: Engines) =>
  (await engines.hypervisor.consoleOutput("i-1", 65_536)).toString().split("no code runs").length - 1

test("a hibernated guest goes on where it was, also after a boot of the machine and with another host", async (t) => {
  const { connection, seen, engines, close } = await scene(t)
  await connection.sync(everything)
  await seen.until("i-1", "on", 1)
  await connection.assign("i-1", 2, { ...guest, power: "off", hibernate: true })
  const { hibernated, cause } = await seen.guestUntil("i-1", "off", 2)
  assert.deepEqual({ hibernated, cause }, { hibernated: true, cause: "requested" })
  assert.equal(filesOf(engines).length, 2)
  await close()
  const next = await open(engines, { bootId: "another boot" })
  t.after(next.close)
  const asleep = everything.map((each) => ({
    ...each,
    generation: 3,
    ...(each.resource === "i-1" && { spec: { ...guest, power: "off" as const, hibernate: true } }),
  }))
  await next.connection.sync(asleep)
  assert.equal((await next.seen.guestUntil("i-1", "off", 3)).hibernated, true)
  await next.connection.assign("i-1", 4, { ...guest, starts: 2 })
  assert.equal((await next.seen.guestUntil("i-1", "on", 4)).memoryLost, undefined)
  assert.equal(await beginnings(engines), 1)
  assert.deepEqual(filesOf(engines), [], "its memory is not kept once it runs")
  await next.connection.assign("i-1", 5, { ...guest, starts: 2, power: "off" })
  assert.equal((await next.seen.guestUntil("i-1", "off", 5)).hibernated, undefined)
  await next.connection.assign("i-1", 6, { ...guest, starts: 3 })
  await next.seen.until("i-1", "on", 6)
  assert.equal(await beginnings(engines), 2, "an ordinary stop ends it")
})

test("memory that was changed, or is gone, is told of, and the guest boots", async (t) => {
  const { connection, seen, engines } = await scene(t)
  await connection.sync(everything)
  await seen.until("i-1", "on", 1)
  const spoil: readonly ((file: string) => void)[] = [
    (file) => writeFileSync(file, readFileSync(file).with(30, 0).with(31, 1)),
    (file) => rmSync(file),
    (file) => rmSync(file.replace("hibernated", "keys/hibernation")),
  ]
  let generation = 1
  for (const [index, change] of spoil.entries()) {
    const starts = index + 1
    await connection.assign("i-1", ++generation, { ...guest, starts, power: "off", hibernate: true })
    assert.equal((await seen.guestUntil("i-1", "off", generation)).hibernated, true)
    change(join(engines.directory, "hibernated", "i-1"))
    await connection.assign("i-1", ++generation, { ...guest, starts: starts + 1 })
    const { memoryLost = "" } = await seen.guestUntil("i-1", "on", generation)
    assert.match(memoryLost, index === 1 ? /is gone/ : /not what was written/)
    assert.equal(await beginnings(engines), starts + 1)
    assert.deepEqual(filesOf(engines), [])
  }
  await connection.assign("i-1", ++generation, { ...guest, starts: 4, power: "off" })
  await seen.until("i-1", "off", generation)
  await connection.assign("i-1", ++generation, { ...guest, starts: 5 })
  assert.equal((await seen.guestUntil("i-1", "on", generation)).memoryLost, undefined, "told of its own start alone")
})

test("a guest whose memory cannot be kept is shut down, and force or the guest's removal ends a save", async (t) => {
  const { connection, seen, engines } = await scene(t)
  await connection.sync(everything)
  await seen.until("i-1", "on", 1)
  engines.hypervisor.hibernate = async () => {
    throw Object.assign(new Error("no space left"), { code: "ENOSPC" })
  }
  await connection.assign("i-1", 2, { ...guest, power: "off", hibernate: true })
  const { hibernated, cause, memoryLost } = await seen.guestUntil("i-1", "off", 2)
  assert.deepEqual(
    { hibernated, cause, memoryLost },
    { hibernated: undefined, cause: "requested", memoryLost: "no space left" },
  )
  assert.equal(engines.calls.filter((call) => call === "hypervisor.requestShutdown i-1").length, 1)
  let saves = 0
  // One that takes for ever, until the machine is killed.
  engines.hypervisor.hibernate = (id, image) => {
    saves++
    return new Promise((_, reject) => {
      const stop = engines.hypervisor.onChange(() => (stop(), reject(new Error("was killed"))))
      writeFileSync(`${image.path}.new`, `of ${id}`)
    })
  }
  await connection.assign("i-1", 3, { ...guest, starts: 2 })
  await seen.until("i-1", "on", 3)
  await connection.assign("i-1", 4, { ...guest, starts: 2, power: "off", hibernate: true })
  await seen.until("i-1", "stopping", 4)
  await connection.assign("i-1", 5, { ...guest, starts: 2, power: "off", force: true })
  assert.equal((await seen.guestUntil("i-1", "off", 5)).hibernated, undefined)
  assert.deepEqual(filesOf(engines), [])
  await connection.assign("i-1", 6, { ...guest, starts: 3 })
  await seen.until("i-1", "on", 6)
  await connection.assign("i-1", 7, { ...guest, starts: 3, power: "off", hibernate: true })
  await seen.until("i-1", "stopping", 7)
  await connection.assign("i-1", 8, undefined)
  await seen.until("i-1", "absent", 8)
  assert.ok(saves <= 2)
  assert.deepEqual(filesOf(engines), [])
})
