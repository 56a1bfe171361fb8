import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { test, type TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "#lib/clock.ts"
import { until, untilPhase } from "../conformance.ts"
import { type MemoryImage, newImageKey, removeMemoryImage, UnusableMemory } from "../memory-image.ts"
import type { HypervisorEngine, MachineSpec } from "../types.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

const id = "i-sleeper"

interface Place {
  readonly home: string
  readonly prefix: string
  readonly image: MemoryImage
  readonly spec: MachineSpec
  open(): Promise<HypervisorEngine>
}

/** A home of its own, with one guest that has greeted. Nothing of it is left after the test. */
async function place(t: TestContext): Promise<Place & { readonly engine: HypervisorEngine }> {
  const home = mkdtempSync(path.join(tmpdir(), "fr-hib-"))
  const prefix = path.basename(home)
  mkdirSync(path.join(home, "state"))
  const key = newImageKey()
  writeFileSync(path.join(home, "key"), key)
  const options = { runDirectory: path.join(home, "run"), stateDirectory: path.join(home, "state"), prefix }
  const open = () => openQemu({ ...options, clock: systemClock(), log: () => {} })
  t.after(async () => {
    const engine = await open()
    await engine.kill(id)
    await engine.remove(id)
    await engine.close()
    rmSync(home, { recursive: true, force: true })
  })
  const spec = tinySpec(id, path.join(home, `${id}.raw`), "obedient")
  const engine = await open()
  await engine.prepare(spec)
  await engine.resume(id)
  await until("the greeting", async () => (await greetings(engine)) === 1)
  return { home, prefix, image: { path: path.join(home, "image"), key }, spec, open, engine }
}

const greetings = async (engine: HypervisorEngine) =>
  (await engine.consoleOutput(id, 65_536)).toString().split(`hello from ${id}`).length - 1

/** As a host does it. */
async function goOn(engine: HypervisorEngine, { spec, image }: Place): Promise<void> {
  await engine.prepare({ ...spec, resumeFrom: image })
  removeMemoryImage(image.path)
  await engine.resume(id)
}

/** It runs, and from its memory: it never greets again. */
async function runsOn(engine: HypervisorEngine): Promise<void> {
  assert.equal((await engine.inspect(id)).phase, "running")
  assert.equal(await greetings(engine), 1)
}

/** Runs the process that hibernates it over and over, and kills it after `delayMs`. */
async function killedAfter({ home, prefix }: Place, delayMs: number): Promise<void> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "hibernator.ts"), home, prefix, id], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  await new Promise((resolve) => child.stdout.once("data", resolve))
  // The moment is the point of the test, not a wait for something.
  await sleep(delayMs)
  assert.deepEqual([child.exitCode, child.signalCode], [null, null])
  child.kill("SIGKILL")
  await ended
}

test("killed at any moment of hibernating and going on, the guest is there: running, or whole in its image", async (t) => {
  const here = await place(t)
  await here.engine.close()
  const found: string[] = []
  for (let round = 0; round < 5; round++) {
    await killedAfter(here, 20 + Math.random() * 1200)
    const engine = await here.open()
    try {
      const { phase } = await engine.inspect(id)
      const kept = existsSync(here.image.path)
      found.push(`${phase}${kept ? " and kept" : ""}`)
      // What a host does that finds it so.
      if (phase === "exited") {
        assert.ok(kept, `round ${round}: neither a machine nor its memory`)
        await goOn(engine, here)
      } else if (phase === "prepared") {
        removeMemoryImage(here.image.path)
        await engine.resume(id)
      } else if (phase === "paused") {
        await engine.hibernate(id, here.image)
        await goOn(engine, here)
      } else assert.equal(kept, false, `round ${round}: it runs and is kept`)
      await runsOn(engine)
    } finally {
      await engine.close()
    }
  }
  t.diagnostic(found.join(", "))
  const engine = await here.open()
  await engine.requestShutdown(id)
  await untilPhase(engine, id, "exited")
  await engine.close()
})

test("a full disk leaves no half of an image, and the guest goes on", async (t) => {
  const here = await place(t)
  const small = path.join(here.home, "small")
  mkdirSync(small)
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=80m", "none", small])
  try {
    await fill(here, small)
  } finally {
    await here.engine.close()
    execFileSync("umount", [small])
  }
})

async function fill(here: Awaited<ReturnType<typeof place>>, small: string): Promise<void> {
  const image = { ...here.image, path: path.join(small, "image") }
  const filler = path.join(small, "filler")
  // Room for the reserve and half a MiB: what is written first fits.
  const { bavail, bsize } = statfsSync(small)
  writeFileSync(filler, Buffer.alloc(bavail * bsize - (64 << 20) - (1 << 19)))
  await assert.rejects(here.engine.hibernate(id, image), { code: "ENOSPC" })
  assert.deepEqual([existsSync(image.path), existsSync(`${image.path}.new`)], [false, false])
  await runsOn(here.engine)
  rmSync(filler)
  await here.engine.hibernate(id, image)
  await goOn(here.engine, { ...here, image })
  await runsOn(here.engine)
}

test("a QEMU that dies while it is saved leaves no image, and the guest boots", async (t) => {
  const here = await place(t)
  const { pid = 0 } = await here.engine.inspect(id)
  const saved = here.engine.hibernate(id, here.image)
  process.kill(pid, "SIGKILL")
  await assert.rejects(saved)
  await untilPhase(here.engine, id, "exited")
  assert.equal(existsSync(here.image.path), false)
  await here.engine.prepare(here.spec)
  await here.engine.resume(id)
  await until("a second greeting", async () => (await greetings(here.engine)) === 2)
  await here.engine.close()
})

test("memory saved by a newer QEMU is refused; by an older one it goes on, on the machine version it had", async (t) => {
  const here = await place(t)
  const file = path.join(here.home, "state", "accelerator.json")
  const truth: { version: string; machineVersion: string } = JSON.parse(readFileSync(file, "utf8"))
  const reopen = async (engine: HypervisorEngine, change: object) => {
    await engine.close()
    writeFileSync(file, JSON.stringify({ ...truth, ...change }))
    return here.open()
  }
  let engine = await reopen(here.engine, { version: "99.1.0" })
  await engine.hibernate(id, here.image)
  engine = await reopen(engine, {})
  const prepare = engine.prepare({ ...here.spec, resumeFrom: here.image })
  await assert.rejects(prepare, new UnusableMemory(`QEMU ${truth.version} is older than 99.1.0, which saved it`))
  engine = await reopen(engine, { version: "99.2.0", machineVersion: "pc-q35-2.4" })
  await goOn(engine, here)
  await runsOn(engine)
  assert.equal((await engine.inspect(id)).machineVersion, truth.machineVersion)
  await engine.hibernate(id, here.image)
  const grown = { ...here.spec, memoryMiB: 128, resumeFrom: here.image }
  await assert.rejects(engine.prepare(grown), /QEMU does not load it/)
  assert.equal((await engine.inspect(id)).phase, "exited")
  await goOn(engine, here)
  await runsOn(engine)
  await engine.close()
})
