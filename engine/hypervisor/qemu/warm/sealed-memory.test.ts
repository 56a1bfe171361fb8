import assert from "node:assert/strict"
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs"
import { test } from "node:test"
import { sealedMemory } from "./sealed-memory.ts"

test("sealed memory keeps what it was filled with, whoever opens it for writing", async () => {
  const memory = await sealedMemory("test", async (fd) => void writeSync(fd, "as it was"))
  const fd = openSync(memory.path, "r+")
  try {
    assert.throws(() => writeSync(fd, "changed", 0), { code: "EPERM" })
    assert.throws(() => ftruncateSync(fd, 0), { code: "EPERM" })
    assert.throws(() => ftruncateSync(fd, 100), { code: "EPERM" })
    assert.equal(fstatSync(fd).size, 9)
  } finally {
    closeSync(fd)
  }
  assert.equal(readFileSync(memory.path, "utf8"), "as it was")
  memory.close()
  assert.ok(!existsSync(memory.path))
})

test("what cannot be filled is not kept", async () => {
  let opened = -1
  const filling = sealedMemory("test", async (fd) => {
    opened = fd
    throw new Error("no more")
  })
  await assert.rejects(filling, /no more/)
  assert.throws(() => fstatSync(opened), { code: "EBADF" })
})
