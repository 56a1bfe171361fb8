import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { systemClock } from "#lib/clock.ts"
import { conformance, untilPhase } from "../conformance.ts"
import type { MachineSpec } from "../types.ts"
import { openSim } from "./sim.ts"

const spec = (id: string): MachineSpec => ({
  id,
  architecture: "x86_64",
  vcpus: 1,
  memoryMiB: 64,
  uuid: "ec200000-0000-4000-8000-000000000000",
  manufacturer: "Example",
  product: "t0.test",
  boot: { kind: "firmware" },
  disks: [],
  nics: [],
  uid: 2_000_000,
})

conformance({
  name: "sim",
  open: () => openSim({ clock: systemClock(20) }),
  spec: async (id) => spec(id),
  greeting: (id) => `simulated guest ${id}: no code runs`,
  machinesOutliveUs: false,
  powerOff: async (engine, id) => engine.powerOff(id),
  cleanUp: async () => {},
})

test("delays are cloud time: a fast clock shortens them", async () => {
  const engine = await openSim({ clock: systemClock(1000), delays: { prepareMs: 20_000 } })
  const startMs = performance.now()
  await engine.prepare(spec("i-fast"))
  const tookMs = performance.now() - startMs
  assert.ok(tookMs >= 15 && tookMs < 5000, `${tookMs} ms`)
  await engine.close()
})

test("a shutdown asked of an earlier run does not end the next", async () => {
  const engine = await openSim({
    clock: systemClock(1),
    delays: { prepareMs: 1, resumeMs: 1, killMs: 1, shutdownMs: 300 },
  })
  await engine.prepare(spec("i-old"))
  await engine.resume("i-old")
  await engine.requestShutdown("i-old")
  await engine.kill("i-old")
  await engine.prepare(spec("i-old"))
  await engine.resume("i-old")
  await delay(200)
  const startMs = performance.now()
  await engine.requestShutdown("i-old")
  await untilPhase(engine, "i-old", "exited")
  assert.ok(performance.now() - startMs > 290, "only the second request ends the second run")
  await engine.close()
})

test("a panic is a cause, not an end", async () => {
  const engine = await openSim({ clock: systemClock(50) })
  await engine.prepare(spec("i-panic"))
  await engine.resume("i-panic")
  engine.panic("i-panic")
  assert.deepEqual(await engine.inspect("i-panic"), {
    phase: "running",
    machineVersion: "sim-1",
    cause: "guest-panic",
  })
  await engine.close()
})
