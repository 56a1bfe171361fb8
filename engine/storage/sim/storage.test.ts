import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { storageConformance } from "../conformance.ts"
import { openSimStorage } from "./storage.ts"

/** The header alone: sim reads no further, and needs no qemu-img. */
async function makeImage(path: string, sizeBytes: number, backing?: string): Promise<void> {
  const header = Buffer.alloc(104)
  header.writeUInt32BE(0x514649fb, 0)
  header.writeUInt32BE(3, 4)
  header.writeBigUInt64BE(backing ? 104n : 0n, 8)
  header.writeBigUInt64BE(BigInt(sizeBytes), 24)
  await writeFile(path, header)
}

storageConformance({ name: "sim", open: (home) => openSimStorage({ home }), makeImage })

test("images of the catalog are there without a file", async (context) => {
  const home = await mkdtemp(join(tmpdir(), "fractus-storage-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  const storage = await openSimStorage({ home, images: [{ id: "ami-1", sizeBytes: 4096 }] })
  await assert.rejects(storage.createVolume({ id: "vol-1", sizeBytes: 2048, image: "ami-1" }), { code: "invalid" })
  await storage.createVolume({ id: "vol-1", sizeBytes: 4096, image: "ami-1" })
  assert.equal((await storage.inspectVolume("vol-1")).sizeBytes, 4096)
})
