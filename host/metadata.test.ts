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
  const document = { ...guest.metadata, network: "vpc-1" }
  await sink.write("100.64.0.1", document)
  await sink.write("100.64.0.1", { ...document, hopLimit: 2 })
  await sink.writeNetwork("vpc-1", { privateAddresses: { "198.18.0.5": "172.31.0.11" } })
  assert.deepEqual((await readdir(directory)).toSorted(), ["100.64.0.1.json", "vpc-1.json"])
  assert.equal((await stat(join(directory, "vpc-1.json"))).mode & 0o777, 0o640)
  const path = join(directory, "100.64.0.1.json")
  assert.equal(JSON.parse(await readFile(path, "utf8")).hopLimit, 2)
  assert.equal((await stat(path)).mode & 0o777, 0o640)
  assert.equal((await stat(path)).gid, gid)
  assert.equal((await stat(directory)).mode & 0o777, 0o750)
  await assert.rejects(sink.write("../../etc/passwd", document), /not an address/)
  await assert.rejects(sink.writeNetwork("../vpc", { privateAddresses: {} }), /not a network/)
  await assert.rejects(sink.removeNetwork("100.64.0.1"), /not a network/)
  await sink.remove("100.64.0.1")
  await sink.remove("100.64.0.1")
  await sink.removeNetwork("vpc-1")
  assert.deepEqual(await readdir(directory), [])
})
