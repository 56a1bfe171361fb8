import assert from "node:assert/strict"
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { guest } from "./harness.ts"
import { fileMetadata, infraAddress } from "./metadata.ts"

test("a port's number is its infrastructure address, within 100.64.0.0/10", () => {
  assert.equal(infraAddress(1), "100.64.0.1")
  assert.equal(infraAddress(70_000), "100.65.17.112")
  assert.equal(infraAddress(4_194_303), "100.127.255.255")
  for (const number of [0, -1, 4_194_304, 1.5, NaN]) assert.throws(() => infraAddress(number))
})

test("documents are whole, and closed to everybody else", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "fractus-metadata-"))
  t.after(() => rm(root, { recursive: true, force: true }))
  const directory = join(root, "metadata")
  const gid = process.getuid?.() === 0 ? 2_009_900 : process.getgid!()
  const sink = await fileMetadata({ directory, gid })
  await sink.write("100.64.0.1", guest.metadata)
  await sink.write("100.64.0.1", { ...guest.metadata, hopLimit: 2 })
  assert.deepEqual(await readdir(directory), ["100.64.0.1.json"])
  const path = join(directory, "100.64.0.1.json")
  assert.equal(JSON.parse(await readFile(path, "utf8")).hopLimit, 2)
  assert.equal((await stat(path)).mode & 0o777, 0o640)
  assert.equal((await stat(path)).gid, gid)
  assert.equal((await stat(directory)).mode & 0o777, 0o750)
  await assert.rejects(async () => sink.write("../../etc/passwd", guest.metadata), /not an address/)
  await sink.remove("100.64.0.1")
  await sink.remove("100.64.0.1")
  assert.deepEqual(await readdir(directory), [])
})
