/** What an encrypted volume's file holds. Needs root (owners of files) and qemu-img. */
import assert from "node:assert/strict"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmod, copyFile, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { keyFolder } from "../key-ring.ts"
import type { StorageEngine } from "../types.ts"
import { createQcow2 } from "./qemu-img.ts"
import { openQcow2Storage } from "./storage.ts"

const gibibyte = 1024 ** 3
const text = "This sentence is nowhere on the disk. "
const block = Buffer.from(text.repeat(4096)).subarray(0, 65_536)

interface Lab {
  readonly home: string
  readonly storage: StorageEngine
  /** Runs commands of qemu-io on a volume's file, opened with this secret. Throws where that does not open it. */
  readonly io: (path: string, secret: string, ...commands: string[]) => Promise<string>
}

async function openLab(context: TestContext): Promise<Lab> {
  const home = await mkdtemp(join(tmpdir(), "fractus-encryption-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  await chmod(home, 0o711)
  await writeFile(join(home, "block"), block)
  const storage = await openQcow2Storage({ home })
  context.after(() => storage.close())
  const io: Lab["io"] = async (path, secret, ...commands) => {
    const key = join(home, "passphrase")
    await writeFile(key, secret, { mode: 0o600 })
    const options = `driver=qcow2,encrypt.format=luks,encrypt.key-secret=key,file.filename=${path}`
    const run = commands.flatMap((command) => ["-c", command])
    const args = [...run, "--object", `secret,id=key,file=${key}`, "--image-opts", options]
    const { status, stdout, stderr } = spawnSync("qemu-io", args, { encoding: "utf8" })
    // A read that finds another pattern may end either way, and says so.
    if (status !== 0 && !stdout.includes("verification failed")) throw new Error(stderr)
    return stdout
  }
  return { home, storage, io }
}

const secretOf = async (storage: StorageEngine, id: string) => {
  const { path, secret } = await storage.present(id, 0)
  assert.ok(secret)
  return { path, secret: secret() }
}

test("what is written to an encrypted volume is not in its file, and reads back with its secret alone", async (context) => {
  const { home, storage, io } = await openLab(context)
  const write = `write -s ${join(home, "block")} 0 64k`
  await storage.createVolume({ id: "vol-plain", sizeBytes: gibibyte })
  const plain = (await storage.present("vol-plain", 0)).path
  execFileSync("qemu-io", ["-f", "qcow2", "-c", write, plain])
  assert.ok((await readFile(plain)).includes(text), "the sentence would be found")

  for (const id of ["vol-1", "vol-2"]) await storage.createVolume({ id, sizeBytes: gibibyte, key: "key-1" })
  const [one, two] = [await secretOf(storage, "vol-1"), await secretOf(storage, "vol-2")]
  await io(one.path, one.secret, write)
  const bytes = await readFile(one.path)
  assert.equal(bytes.includes(text), false)
  assert.equal(bytes.includes(one.secret), false)
  assert.equal(bytes.includes(Buffer.from(one.secret, "hex")), false)

  const read = `read -P ${block[0]} 0 1`
  assert.doesNotMatch(await io(one.path, one.secret, read), /verification failed/)
  await assert.rejects(io(one.path, two.secret, read), /Invalid password/)
  assert.throws(() => execFileSync("qemu-io", ["-f", "qcow2", "-c", read, one.path], { stdio: "pipe" }), /key-secret/)
})

test("an encrypted volume begins with its image's bytes, and leaves them alone", async (context) => {
  const { home, storage, io } = await openLab(context)
  const image = join(home, "import.qcow2")
  await createQcow2(image, gibibyte)
  execFileSync("qemu-io", ["-f", "qcow2", "-c", "write -P 105 0 128k", image])
  await storage.importImage("ami-1", image)
  await storage.createVolume({ id: "vol-1", sizeBytes: 2 * gibibyte, image: "ami-1", key: "key-1" })
  const { path, secret } = await secretOf(storage, "vol-1")
  const said = await io(
    path,
    secret,
    "read -P 105 0 128k",
    "write -P 7 64k 64k",
    "read -P 7 64k 64k",
    "read -P 105 0 64k",
  )
  assert.doesNotMatch(said, /verification failed/)
  assert.doesNotMatch(await io(path, secret, "read -P 0 1536M 64k"), /verification failed/)
  const beneath = join(home, "images/ami-1/disk.qcow2")
  const untouched = execFileSync("qemu-io", ["-f", "qcow2", "-c", "read -P 105 0 128k", beneath], { encoding: "utf8" })
  assert.doesNotMatch(untouched, /verification failed/)
  const opened = ["--object", `secret,id=key,data=${secret}`, "--image-opts"]
  const options = `driver=qcow2,encrypt.format=luks,encrypt.key-secret=key,file.filename=${path}`
  execFileSync("qemu-img", ["check", "-q", ...opened, options])
  await storage.removeVolume("vol-1")
  await storage.removeImage("ami-1")
  assert.deepEqual(
    (await readdir(join(home, "volumes"))).filter((name) => name.startsWith(".template")),
    [],
  )
})

test("volumes share no master key: one's header does not open the other's bytes", async (context) => {
  const { home, storage, io } = await openLab(context)
  for (const id of ["vol-1", "vol-2"]) await storage.createVolume({ id, sizeBytes: gibibyte, key: "key-1" })
  const [one, two] = [await secretOf(storage, "vol-1"), await secretOf(storage, "vol-2")]
  await io(one.path, one.secret, "write -P 7 0 64k")
  await io(two.path, two.secret, "write -P 9 0 64k")
  const [first, second] = [await readFile(one.path), await readFile(two.path)]
  // Both files were laid out in the same way: everything up to the first cluster of data is header.
  const data = first.length - 65_536
  assert.equal(second.length, first.length)
  const mixed = join(home, "mixed.qcow2")
  await writeFile(mixed, Buffer.concat([first.subarray(0, data), second.subarray(data)]))
  assert.doesNotMatch(await io(one.path, one.secret, "read -P 7 0 64k"), /verification failed/)
  assert.match(await io(mixed, one.secret, "read -P 9 0 64k"), /verification failed/)
})

test("an encrypted volume is whole whatever its size", async (context) => {
  const { home, storage, io } = await openLab(context)
  for (const [index, sizeBytes] of [512, 2 ** 20, 64 * 2 ** 40].entries()) {
    const id = `vol-${index}`
    await storage.createVolume({ id, sizeBytes, key: "key-1" })
    const { path, secret } = await secretOf(storage, id)
    const [at, length] = [Math.max(0, sizeBytes - 65_536), Math.min(sizeBytes, 65_536)]
    const said = await io(path, secret, `write -P 7 ${at} ${length}`, `read -P 7 ${at} ${length}`)
    assert.match(said, /wrote/)
    assert.doesNotMatch(said, /verification failed/)
    const options = `driver=qcow2,encrypt.format=luks,encrypt.key-secret=key,file.filename=${path}`
    const key = `secret,id=key,file=${join(home, "passphrase")}`
    execFileSync("qemu-img", ["check", "-q", "--object", key, "--image-opts", options])
  }
})

test("keys and records are root's alone, and a removed volume's data key is nowhere", async (context) => {
  const { home, storage, io } = await openLab(context)
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, key: "key-1" })
  const { path, secret } = await secretOf(storage, "vol-1")
  await io(path, secret, "write -P 7 0 64k")
  const modes = [keyFolder(home), join(keyFolder(home), "key-1.key"), join(home, "volumes/vol-1.json")]
  const found = await Promise.all(modes.map(async (name) => ((await stat(name)).mode & 0o777).toString(8)))
  assert.deepEqual(found, ["700", "600", "600"])
  const record = join(home, "volumes/vol-1.json")
  assert.equal((await readFile(record, "utf8")).includes(secret), false)

  // A data key belongs to one volume: another's record does not take it along.
  await storage.createVolume({ id: "vol-2", sizeBytes: gibibyte, key: "key-1" })
  await copyFile(record, join(home, "volumes/vol-2.json"))
  await assert.rejects(storage.present("vol-2", 0), { code: "no-key" })

  // The file alone was kept: under a new record with the same name it is noise.
  await copyFile(path, join(home, "stolen.qcow2"))
  await storage.removeVolume("vol-1")
  await assert.rejects(stat(record), { code: "ENOENT" })
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, key: "key-1" })
  const later = await secretOf(storage, "vol-1")
  await assert.rejects(io(join(home, "stolen.qcow2"), later.secret, "read 0 1"), /Invalid password/)
})

test("what was killed between key and volume leaves no record, and a full disk neither", async (context) => {
  const { home, storage } = await openLab(context)
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, key: "key-1" })
  await copyFile(join(home, "volumes/vol-1.json"), join(home, "volumes/vol-2.json"))
  const again = await openQcow2Storage({ home })
  context.after(() => again.close())
  assert.deepEqual(
    (await readdir(join(home, "volumes"))).filter((name) => name.endsWith(".json")),
    ["vol-1.json"],
  )

  const small = await mkdtemp(join(tmpdir(), "fractus-encryption-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "fractus-test", small])
  context.after(async () => {
    execFileSync("umount", [small])
    await rm(small, { recursive: true })
  })
  const full = await openQcow2Storage({ home: small })
  const made: string[] = []
  const fill = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) {
      await full.createVolume({ id: `vol-${n}`, sizeBytes: gibibyte, key: "key-1" })
      made.push(`vol-${n}`)
    }
  }
  await assert.rejects(fill(), { code: "disk-full" })
  assert.deepEqual((await full.listVolumes()).toSorted(), made)
  const files = [`.template-${gibibyte}`, ...made.flatMap((id) => [`${id}.json`, `${id}.qcow2`])]
  assert.deepEqual((await readdir(join(small, "volumes"))).toSorted(), files)
  await full.removeVolume("vol-0")
  await full.createVolume({ id: "vol-again", sizeBytes: gibibyte, key: "key-1" })
})

test("killed at any moment while it makes encrypted volumes, each that is there opens with its own secret", async (context) => {
  const { home, storage, io } = await openLab(context)
  const script = `
    import { openQcow2Storage } from ${JSON.stringify(new URL("storage.ts", import.meta.url).href)}
    const storage = await openQcow2Storage({ home: process.argv[1] })
    for (let n = 0; ; n++) {
      await storage.createVolume({ id: "vol-" + process.pid + "-" + n, sizeBytes: ${gibibyte}, key: "key-" + n })
      process.stdout.write("vol-" + process.pid + "-" + n + "\\n")
    }`
  const acknowledged: string[] = []
  for (const most of [1, 3]) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, home], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    context.after(() => child.kill("SIGKILL"))
    let printed = ""
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString()
      if (printed.split("\n").length > most) child.kill("SIGKILL")
    })
    await once(child, "close")
    acknowledged.push(...printed.split("\n").slice(0, -1))
  }
  const again = await openQcow2Storage({ home })
  context.after(() => again.close())
  const there = await again.listVolumes()
  assert.ok(acknowledged.length >= 4)
  assert.deepEqual(
    acknowledged.filter((id) => !there.includes(id)),
    [],
  )
  for (const id of there) {
    const { path, secret } = await secretOf(again, id)
    assert.doesNotMatch(await io(path, secret, "read -P 0 0 64k"), /verification failed/)
  }
  const names = await readdir(join(home, "volumes"))
  assert.deepEqual(
    names.filter((name) => /^vol-.*\.json$/.test(name)).toSorted(),
    there.map((id) => `${id}.json`).toSorted(),
  )
  assert.deepEqual(
    names.filter((name) => name.startsWith(".new-")),
    [],
  )
  await storage.close()
})

test("a snapshot of an encrypted volume is noise too, and what is made of it reads back, under keys of their own", async (context) => {
  const { home, storage, io } = await openLab(context)
  const spec = { sizeBytes: gibibyte, key: "key-1" }
  await storage.createVolume({ id: "vol-1", ...spec })
  const one = await secretOf(storage, "vol-1")
  await io(one.path, one.secret, `write -s ${join(home, "block")} 0 64k`)
  await storage.createSnapshots([{ id: "snap-1", from: { volume: "vol-1" }, key: "key-2" }], (work) => work())
  await storage.removeVolume("vol-1")
  const file = join(home, "snapshots", "snap-1.qcow2")
  assert.equal((await readFile(file)).includes(text), false)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await storage.createVolume({ id: "vol-2", ...spec, sizeBytes: 2 * gibibyte, snapshot: "snap-1" })
  const two = await secretOf(storage, "vol-2")
  assert.notEqual(two.secret, one.secret)
  assert.doesNotMatch(await io(two.path, two.secret, `read -P ${block[0]} 0 1`), /verification failed/)
  assert.match(await io(two.path, two.secret, "read -P 1 0 1"), /verification failed/)
  assert.doesNotMatch(await io(two.path, two.secret, "read -P 0 1024M 64k"), /verification failed/)

  await storage.createSnapshots([{ id: "snap-2", from: { snapshot: "snap-1" }, key: "key-1" }], (work) => work())
  await storage.removeSnapshot("snap-1")
  await storage.createVolume({ id: "vol-3", ...spec, snapshot: "snap-2" })
  const three = await secretOf(storage, "vol-3")
  assert.doesNotMatch(await io(three.path, three.secret, `read -P ${block[0]} 0 1`), /verification failed/)
})

test("a volume whose header was changed to read another file is no source of a snapshot", async (context) => {
  const { home, storage } = await openLab(context)
  await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte })
  const { path } = await storage.present("vol-1", 0)
  const other = join(home, "secret.qcow2")
  await createQcow2(other, gibibyte)
  const make = () => storage.createSnapshots([{ id: "snap-1", from: { volume: "vol-1" } }], (work) => work())
  execFileSync("qemu-img", ["rebase", "-u", "-f", "qcow2", "-b", other, "-F", "qcow2", path])
  await assert.rejects(make(), { code: "invalid" })
  await rm(path)
  await createQcow2(path, 2 * gibibyte)
  await assert.rejects(make(), { code: "invalid" })
  assert.deepEqual(await readdir(join(home, "snapshots")), [])
})
