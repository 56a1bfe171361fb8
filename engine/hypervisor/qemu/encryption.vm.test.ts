/** Machines with encrypted disks. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { encryptQcow2 } from "#engine/storage/qcow2/luks.ts"
import { systemClock } from "#lib/clock.ts"
import { until } from "../conformance.ts"
import type { HypervisorEngine, MachineSpec } from "../types.ts"
import { openQemu } from "./driver.ts"
import { tinySpec, type TinyBehaviour } from "./tiny-guest.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-hve-"))
const prefix = path.basename(home)
mkdirSync(path.join(home, "state"))
after(() => rmSync(home, { recursive: true, force: true }))

const open = () =>
  openQemu({
    runDirectory: path.join(home, "run"),
    stateDirectory: path.join(home, "state"),
    prefix,
    clock: systemClock(),
    log: () => {},
  })

/** A new disk over the guest's, which stays as it is. */
function overlay(of: string, name: string): string {
  const file = path.join(home, name)
  rmSync(file, { force: true })
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", of, file])
  return file
}

/** A tiny guest whose disk is encrypted from the first byte that it writes on. */
async function encryptedSpec(id: string, behaviour: TinyBehaviour, secret: string): Promise<MachineSpec> {
  const base = path.join(home, `${id}.raw`)
  const spec = tinySpec(id, base, behaviour)
  const file = overlay(base, `${id}.qcow2`)
  await encryptQcow2(file, secret)
  const backing = { path: base, format: "raw" } as const
  const encrypted = { path: file, format: "qcow2", backing, secret: () => secret } as const
  return { ...spec, disks: spec.disks.map((disk) => ({ ...disk, ...encrypted })) }
}

async function withEngine(work: (engine: HypervisorEngine) => Promise<void>): Promise<void> {
  const engine = await open()
  try {
    await work(engine)
  } finally {
    const last = await open()
    for (const id of await last.list()) {
      await last.kill(id)
      await last.remove(id)
    }
    await last.close()
    await engine.close()
  }
}

const greeted = (engine: HypervisorEngine, id: string, times: number) =>
  until("the greeting", async () => {
    const text = (await engine.consoleOutput(id, 65_536)).toString()
    return text.split(`hello from ${id}`).length > times
  })

test("a guest on an encrypted disk starts, resets, outlives the engine and starts again; what it writes is not in the file", () =>
  withEngine(async (engine) => {
    const [id, secret] = ["i-secret", "s".repeat(64)]
    const spec = await encryptedSpec(id, "writer", secret)
    const file = spec.disks[0]?.path ?? ""
    await engine.prepare(spec)
    await engine.resume(id)
    await greeted(engine, id, 1)
    const written = 1 << 20
    const before = statSync(file).size
    await until("the guest to write", () => statSync(file).size > before + written)
    await engine.close()
    const again = await open()
    assert.equal((await again.inspect(id)).phase, "running")
    await again.reset(id)
    await again.resume(id)
    await greeted(again, id, 2)
    await again.kill(id)
    // What it writes is its own first sector, and with that the greeting, over and over.
    assert.equal(readFileSync(file).includes(`hello from ${id}`), false)
    await again.prepare(spec)
    await again.resume(id)
    await greeted(again, id, 3)
    await again.kill(id)
    await again.close()
  }))

test("the secret is in no argument, environment or file with a name, and only the guest's user can open it", () =>
  withEngine(async (engine) => {
    const [id, secret] = ["i-told", "0123456789abcdef".repeat(4)]
    const spec = { ...(await encryptedSpec(id, "deaf", secret)), uid: 2_099_985 }
    const { pid } = await engine.prepare(spec)
    assert.ok(pid)
    for (const name of ["cmdline", "environ"]) assert.ok(!readFileSync(`/proc/${pid}/${name}`).includes(secret), name)
    const holders = readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      const facts = statSync(`/proc/${pid}/fd/${fd}`)
      return facts.isFile() && facts.size < 4096 && readFileSync(`/proc/${pid}/fd/${fd}`, "latin1") === secret
    })
    assert.equal(holders.length, 1)
    const held = `/proc/${pid}/fd/${holders[0]}`
    assert.match(readlinkSync(held), / \(deleted\)$/)
    const { uid, mode } = statSync(held)
    assert.deepEqual([uid, (mode & 0o777).toString(8)], [2_099_985, "400"])
    const found = readdirSync(path.join(home, "run"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .filter((entry) => readFileSync(path.join(entry.parentPath, entry.name)).includes(secret))
    assert.deepEqual(found, [])
  }))

test("a wrong secret, none, and a file that was exchanged for one that is not encrypted start nothing", () =>
  withEngine(async (engine) => {
    const [id, secret] = ["i-refused", "s".repeat(64)]
    const spec = await encryptedSpec(id, "deaf", secret)
    const [disk] = spec.disks
    assert.ok(disk)
    const { secret: _secret, ...bare } = disk
    await assert.rejects(
      engine.prepare({ ...spec, disks: [{ ...disk, secret: () => "t".repeat(64) }] }),
      /Invalid password/,
    )
    await assert.rejects(engine.prepare({ ...spec, disks: [bare] }), /key-secret/)
    assert.deepEqual(await engine.list(), [])
    const kept = path.join(home, "kept")
    copyFileSync(disk.path, kept)
    overlay(path.join(home, `${id}.raw`), path.basename(disk.path))
    await assert.rejects(engine.prepare(spec), /No encryption in image header/)
    assert.deepEqual(await engine.list(), [])
    copyFileSync(kept, disk.path)
    assert.equal((await engine.prepare(spec)).phase, "prepared")
  }))
