/** Needs root (owners of files) and qemu-img. */
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { storageConformance } from "../conformance.ts"
import { createQcow2 } from "./qemu-img.ts"
import { openQcow2Storage } from "./storage.ts"

const gibibyte = 1024 ** 3
const guest = 2_000_001
const neighbour = 2_000_002

storageConformance({ name: "qcow2", open: (home) => openQcow2Storage({ home }), makeImage: createQcow2 })

async function freshHome(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "fractus-storage-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  await chmod(home, 0o711)
  return home
}

/** An image whose first bytes say `text`. */
async function imageWith(home: string, text: string): Promise<string> {
  const path = join(home, "import.qcow2")
  await createQcow2(path, gibibyte)
  qemuIo(path, `write -P ${text.charCodeAt(0)} 0 64k`)
  return path
}

function qemuIo(path: string, command: string, uid = 0): string {
  return execFileSync("qemu-io", ["-f", "qcow2", "-c", command, path], {
    uid,
    gid: uid,
    encoding: "utf8",
    stdio: "pipe",
  })
}

/** qemu-io ends well even when a read finds another pattern: the words decide. */
function reads(path: string, byte: number, uid = 0): boolean {
  return !qemuIo(path, `read -P ${byte} 0 64k`, uid).includes("verification failed")
}

test("a volume starts with its image's bytes and leaves them alone", async (context) => {
  const home = await freshHome(context)
  const storage = await openQcow2Storage({ home })
  await storage.importImage("ami-1", await imageWith(home, "i"))
  for (const id of ["vol-1", "vol-2"]) await storage.createVolume({ id, sizeBytes: 2 * gibibyte, image: "ami-1" })
  const { path, ...kinds } = await storage.present("vol-1", 0)
  const backing = { path: join(home, "images/ami-1/disk.qcow2"), format: "qcow2" }
  assert.deepEqual(kinds, { format: "qcow2", backing })
  assert.ok(reads(path, "i".charCodeAt(0)))
  qemuIo(path, "write -P 7 0 64k")
  const other = await storage.present("vol-2", 0)
  assert.ok(reads(path, 7))
  assert.ok(reads(other.path, "i".charCodeAt(0)))
  assert.ok(
    (await storage.inspectVolume("vol-1")).allocatedBytes > (await storage.inspectVolume("vol-2")).allocatedBytes,
  )
})

test("only the user a volume is presented to can open it; nobody but root can change an image", async (context) => {
  const home = await freshHome(context)
  const storage = await openQcow2Storage({ home })
  await storage.importImage("ami-1", await imageWith(home, "i"))
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, image: "ami-1" })
  const { path } = await storage.present("vol-1", guest)
  assert.ok(reads(path, "i".charCodeAt(0), guest))
  qemuIo(path, "write -P 9 0 64k", guest)
  assert.throws(() => qemuIo(path, "read 0 512", neighbour), /Permission denied/)
  const imageFile = join(home, "images/ami-1/disk.qcow2")
  assert.throws(() => qemuIo(imageFile, "write 0 512", guest), /Permission denied/)
  assert.throws(
    () => execFileSync("ls", [join(home, "volumes")], { uid: guest, gid: guest, stdio: "pipe" }),
    /Permission denied/,
  )
  await storage.release("vol-1")
  assert.throws(() => qemuIo(path, "read 0 512", guest), /Permission denied/)
  assert.equal((await stat(path)).uid, 0)
})

test("a volume's size is ours, not what a guest writes into the file's header", async (context) => {
  const home = await freshHome(context)
  const storage = await openQcow2Storage({ home })
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte })
  const { path } = await storage.present("vol-1", guest)
  await createQcow2(path, 4 * gibibyte)
  assert.equal((await storage.inspectVolume("vol-1")).sizeBytes, gibibyte)
})

test("what a killed process left half done is swept, the rest stays", async (context) => {
  const home = await freshHome(context)
  const first = await openQcow2Storage({ home })
  await first.createVolume({ id: "vol-1", sizeBytes: gibibyte })
  const gone = spawn("true")
  await once(gone, "exit")
  await writeFile(join(home, "volumes", `.new-${gone.pid}-1-1`), "half")
  await mkdir(join(home, "images", `.new-${gone.pid}-1-2`))
  // A process of today has the number of one that is gone.
  await mkdir(join(home, "volumes", `.new-${process.pid}-1-3`))
  await writeFile(join(home, "volumes", `.new-${process.pid}-1-3`, "new"), "half")
  const again = await openQcow2Storage({ home })
  const left = [...(await readdir(join(home, "volumes"))), ...(await readdir(join(home, "images")))]
  assert.deepEqual(
    left.filter((name) => name.startsWith(".new-")),
    [],
  )
  assert.deepEqual(await again.listVolumes(), ["vol-1"])
})

test("killed at any moment, a volume is there whole or not at all", async (context) => {
  const home = await freshHome(context)
  const script = `
    import { openQcow2Storage } from ${JSON.stringify(new URL("storage.ts", import.meta.url).href)}
    const storage = await openQcow2Storage({ home: process.argv[1] })
    for (let n = 0; ; n++) {
      await storage.createVolume({ id: "vol-" + n, sizeBytes: ${gibibyte} })
      process.stdout.write("vol-" + n + "\\n")
    }`
  for (const volumesMade of [1, 4, 9]) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, home], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    context.after(() => child.kill("SIGKILL"))
    let printed = ""
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString()
      if (printed.split("\n").length > volumesMade) child.kill("SIGKILL")
    })
    await once(child, "close")
    const storage = await openQcow2Storage({ home })
    const volumes = await storage.listVolumes()
    const acknowledged = printed.split("\n").slice(0, -1)
    assert.deepEqual(
      acknowledged.filter((id) => !volumes.includes(id)),
      [],
    )
    for (const id of volumes) {
      assert.equal((await storage.inspectVolume(id)).sizeBytes, gibibyte)
      execFileSync("qemu-img", ["check", "-q", "-f", "qcow2", join(home, "volumes", `${id}.qcow2`)])
    }
  }
})

test("a full disk is called so, and leaves no volume", async (context) => {
  const home = await mkdtemp(join(tmpdir(), "fractus-storage-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "fractus-test", home])
  context.after(async () => {
    execFileSync("umount", [home])
    await rm(home, { recursive: true })
  })
  const storage = await openQcow2Storage({ home })
  const made: string[] = []
  const fill = async (): Promise<void> => {
    for (let n = 0; n < 50; n++) {
      await storage.createVolume({ id: `vol-${n}`, sizeBytes: gibibyte })
      made.push(`vol-${n}`)
    }
  }
  await assert.rejects(fill(), { name: "StorageError", code: "disk-full" })
  assert.ok(made.length > 0)
  assert.deepEqual(
    (await storage.listVolumes()).toSorted((a, b) => a.localeCompare(b)),
    made,
  )
  await storage.removeVolume("vol-0")
  await storage.createVolume({ id: "vol-again", sizeBytes: gibibyte })
})

test("a volume is told to be a copy of a snapshot until somebody writes to it or either is encrypted", async (context) => {
  const home = await freshHome(context)
  const storage = await openQcow2Storage({ home })
  await storage.importImage("ami-1", await imageWith(home, "i"))
  await storage.createSnapshots([{ id: "snap-1", from: { image: "ami-1" } }], (work) => work())
  const copyOf = async (id: string) => (await storage.present(id, guest)).copyOf
  const make = (id: string, more: { key?: string } = {}, gibibytes = 1) =>
    storage.createVolume({ id, sizeBytes: gibibytes * gibibyte, snapshot: "snap-1", ...more })
  await make("vol-1")
  await make("vol-2", {}, 3)
  await make("vol-3", { key: "account" })
  const snapshot = join(home, "snapshots", "snap-1.qcow2")
  assert.deepEqual(await Promise.all(["vol-1", "vol-2", "vol-3"].map(copyOf)), [snapshot, snapshot, undefined])
  const { path } = await storage.present("vol-1", guest)
  qemuIo(path, "read 0 64k", guest)
  assert.equal(await copyOf("vol-1"), snapshot, "it was read")
  qemuIo(path, "write -P 9 0 64k", guest)
  assert.equal(await copyOf("vol-1"), undefined, "it was written to")
  await storage.release("vol-2")
  const again = await openQcow2Storage({ home })
  assert.equal((await again.present("vol-2", guest)).copyOf, snapshot, "also for the next process")
  await storage.removeSnapshot("snap-1")
  assert.equal(await copyOf("vol-2"), undefined, "what it is a copy of is gone")
})
