import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "#lib/clock.ts"
import { until, untilPhase } from "../conformance.ts"
import type { HypervisorEngine } from "../types.ts"
import { openQemu } from "./driver.ts"
import { identify } from "./process.ts"
import { readRecord } from "./record.ts"
import { tinySpec, type TinyBehaviour } from "./tiny-guest.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-hvf-"))
const prefix = path.basename(home)
mkdirSync(path.join(home, "state"))
const directoryOf = (id: string) => path.join(home, "run", "guests", id)
const open = () =>
  openQemu({
    runDirectory: path.join(home, "run"),
    stateDirectory: path.join(home, "state"),
    prefix,
    clock: systemClock(),
    log: () => {},
  })
const spec = (id: string, behaviour: TinyBehaviour) => tinySpec(id, path.join(home, `${id}.raw`), behaviour)

async function clear(engine: HypervisorEngine) {
  for (const id of await engine.list()) {
    await engine.kill(id)
    await engine.remove(id)
  }
  await engine.close()
}
after(async () => {
  await clear(await open())
  rmSync(home, { recursive: true, force: true })
})

/** Pids of processes in our control groups or on their way there, zombies aside. */
function ours(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8")
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        return `${groups}${words}`.includes(`/${prefix}/`) && identify(pid) !== undefined
      } catch {
        return false
      }
    })
}

test("killed at any moment of a machine's start, nothing is orphaned: the next engine finds it and can end it", async () => {
  await (await open()).close()
  for (let round = 0; round < 12; round++) {
    const script = path.join(import.meta.dirname, "preparer.ts")
    const child = spawn(process.execPath, [script, home, prefix], { stdio: ["ignore", "pipe", "inherit"] })
    const ended = new Promise((resolve) => child.once("exit", resolve))
    await new Promise((resolve) => child.stdout.once("data", resolve))
    // The random moment is the point of the test, not a wait for something.
    await sleep(Math.random() * 150)
    child.kill("SIGKILL")
    await ended
    const engine = await open()
    const found = await engine.list()
    for (const id of found) {
      const state = await engine.inspect(id)
      assert.notEqual(state.phase, "absent")
      // Not knowing is right only of what never came to be.
      if (state.cause === "unknown") assert.equal(state.phase, "exited", `${id} cannot be reached`)
    }
    await clear(engine)
    assert.deepEqual(ours(), [], `round ${round}`)
    assert.deepEqual(readdirSync(path.join(home, "run", "guests")), [])
  }
})

test("a process that was killed from outside is seen, with its cause, watched or not", async () => {
  const engine = await open()
  const heard: string[] = []
  engine.onChange((id) => heard.push(id))
  for (const id of ["i-watched", "i-alone"]) {
    await engine.prepare(spec(id, "deaf"))
    await engine.resume(id)
  }
  process.kill((await engine.inspect("i-watched")).pid ?? 0, "SIGKILL")
  await until("the listener", () => heard.includes("i-watched"))
  assert.equal((await untilPhase(engine, "i-watched", "exited")).cause, "killed")
  const { pid = 0 } = await engine.inspect("i-alone")
  await engine.close()
  process.kill(pid, "SIGTERM")
  await until("its end", () => identify(pid) === undefined)
  const again = await open()
  assert.equal((await again.inspect("i-alone")).phase, "exited")
  assert.equal((await again.inspect("i-alone")).cause, "killed")
  await clear(again)
})

test("a guest that powers off while nobody watches is told from one that was killed", async () => {
  const engine = await open()
  await engine.prepare(spec("i-quiet", "power-off"))
  await engine.resume("i-quiet")
  await engine.close()
  const again = await open()
  assert.equal((await untilPhase(again, "i-quiet", "exited")).cause, "guest-shutdown")
  await clear(again)
})

test("what the machine lacks is named, and nothing is left", async () => {
  const engine = await open()
  const good = spec("i-lacks", "deaf")
  const [disk] = good.disks
  assert.ok(disk)
  await assert.rejects(
    engine.prepare({ ...good, disks: [{ ...disk, path: "/nowhere/disk" }] }),
    /vol-root.*\/nowhere\/disk/,
  )
  await assert.rejects(engine.prepare({ ...good, disks: [{ ...disk, format: "qcow2" }] }), /not a qcow2 image/)
  const boot = { kind: "kernel", kernelPath: "/nowhere/vmlinuz", initrdPath: disk.path, commandLine: "" } as const
  await assert.rejects(engine.prepare({ ...good, boot }), /\/nowhere\/vmlinuz/)
  await assert.rejects(
    engine.prepare({ ...good, machineVersion: "pc-q35-1.0" }),
    /i-lacks: .*pc-q35-1\.0|i-lacks: .*machine/,
  )
  const nic = { id: "eni-1", mac: "02:00:00:00:00:01", mtu: 1500, device: "none0", namespace: `${prefix}-none` }
  await assert.rejects(engine.prepare({ ...good, nics: [nic] }), new RegExp(`i-lacks: .*${prefix}-none`))
  assert.deepEqual(await engine.inspect("i-lacks"), { phase: "absent" })
  assert.deepEqual(ours(), [])
  await clear(engine)
})

test("a guest that never stops printing costs a bounded file, and the newest output is what is kept", async () => {
  const engine = await open()
  await engine.prepare(spec("i-chatty", "chatty"))
  await engine.resume("i-chatty")
  const files = ["console.log", "console.log.old"].map((name) => path.join(directoryOf("i-chatty"), name))
  const size = () => files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
  let most = 0
  const end = performance.now() + 30_000
  for (let printed = 0; printed < 4 << 20 && performance.now() < end;) {
    const before = size()
    assert.match((await engine.consoleOutput("i-chatty", 1000)).toString().slice(-100), /x*$/)
    printed += Math.abs(size() - before)
    most = Math.max(most, size())
    await sleep(1) // the guest is what shall have the processor
  }
  assert.ok(most > 1 << 19, `the file has turned over at least once: ${most}`)
  assert.ok(most <= (1 << 20) + (1 << 18), `bounded: ${most}`)
  await clear(engine)
})

test("a full disk of the host stops the guest, and it goes on when there is room again", async () => {
  const small = path.join(home, "small")
  mkdirSync(small)
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", small])
  const engine = await open()
  try {
    const heard: string[] = []
    engine.onChange((id) => heard.push(id))
    await engine.prepare(tinySpec("i-full", path.join(small, "disk"), "writer"))
    await engine.resume("i-full")
    assert.equal((await untilPhase(engine, "i-full", "paused")).cause, "io-error")
    await until("the listener", () => heard.includes("i-full"))
    execFileSync("mount", ["-o", "remount,size=4m", small])
    await engine.resume("i-full")
    const state = await engine.inspect("i-full")
    assert.deepEqual([state.phase, state.cause], ["running", undefined])
    await until("the last write", () => statSync(path.join(small, "disk")).blocks * 512 > 1 << 20)
  } finally {
    await clear(engine)
    execFileSync("umount", [small])
  }
})

test("a record that says nothing can be removed", async () => {
  const engine = await open()
  mkdirSync(directoryOf("i-empty"), { recursive: true })
  assert.equal(readRecord(directoryOf("i-empty")), undefined)
  assert.equal((await engine.inspect("i-empty")).phase, "exited")
  assert.deepEqual(await engine.list(), ["i-empty"])
  await engine.kill("i-empty")
  await engine.remove("i-empty")
  assert.deepEqual(await engine.inspect("i-empty"), { phase: "absent" })
  await engine.close()
})

test("a QEMU that somebody ends by a signal was killed, and its guest did not power off", async () => {
  const engine = await open()
  const heard: string[] = []
  engine.onChange((id) => heard.push(id))
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const id = `i-${signal.toLowerCase()}`
    await engine.prepare(spec(id, "deaf"))
    await engine.resume(id)
    process.kill((await engine.inspect(id)).pid ?? 0, signal)
    assert.equal((await untilPhase(engine, id, "exited")).cause, "killed", signal)
    await until("the listener", () => heard.includes(id))
  }
  await clear(engine)
})
