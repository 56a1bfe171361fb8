import assert from "node:assert/strict"
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { randomBytes } from "node:crypto"
import { test, type TestContext } from "node:test"
import {
  frameBytes,
  type MemoryImage,
  newImageKey,
  readMemoryImage,
  removeMemoryImage,
  UnusableMemory,
  writeMemoryImage,
} from "./memory-image.ts"

function place(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "fr-memory-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function* pieces(bytes: Buffer, size = 70_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function readBack(image: MemoryImage) {
  const { head, rest, close } = await readMemoryImage(image)
  try {
    const parts: Buffer[] = []
    for await (const part of rest) parts.push(part)
    return { head, bytes: Buffer.concat(parts) }
  } finally {
    await close()
  }
}

/** Three frames, the last not full. */
async function written(t: TestContext) {
  const image = { path: path.join(place(t), "image"), key: newImageKey() }
  const bytes = randomBytes(2 * frameBytes + 12_345)
  await writeMemoryImage(image, { id: "i-0123456789abcdef0" }, pieces(bytes))
  return { image, bytes }
}

test("what was written comes back, and the file shows nothing of it", async (t) => {
  const { image, bytes } = await written(t)
  assert.deepEqual(await readBack(image), { head: { id: "i-0123456789abcdef0" }, bytes })
  const file = readFileSync(image.path)
  assert.equal(file.includes(bytes.subarray(1000, 1032)), false)
  assert.equal(file.includes("i-0123456789abcdef0"), false)
  assert.equal(statSync(image.path).mode & 0o777, 0o600)
  removeMemoryImage(image.path)
  await assert.rejects(readMemoryImage(image), { code: "ENOENT" })
})

test("an image that was changed, cut, extended or rearranged anywhere is refused, and one with another key", async (t) => {
  const { image } = await written(t)
  const good = readFileSync(image.path)
  const headFrame = 16
  const first = headFrame + 4 + good.readUInt32BE(headFrame) + 16
  const whole = 4 + frameBytes + 16
  const flipped = (at: number) => good.with(at, good[at]! ^ 1)
  const bad: readonly (readonly [string, Uint8Array])[] = [
    ["magic", flipped(3)],
    ["length of the head", flipped(headFrame + 3)],
    ["head", flipped(headFrame + 6)],
    ["a byte in the middle", flipped(first + whole + 500)],
    ["a tag", flipped(first + whole - 1)],
    ["the mark of the last frame", flipped(good.length - 20)],
    ["cut in a frame", good.subarray(0, first + 100)],
    ["cut between frames", good.subarray(0, first + whole)],
    ["without its last frame", good.subarray(0, good.length - 20)],
    ["one byte more", Buffer.concat([good, Buffer.alloc(1)])],
    ["frames swapped", swapped(good, first, whole)],
    ["a frame twice", Buffer.concat([good.subarray(0, first + whole), good.subarray(first)])],
    ["empty", Buffer.alloc(0)],
  ]
  for (const [what, bytes] of bad) {
    writeFileSync(image.path, bytes)
    await assert.rejects(readBack(image), UnusableMemory, what)
  }
  writeFileSync(image.path, good)
  await assert.rejects(readBack({ ...image, key: newImageKey() }), UnusableMemory)
  await readBack(image)
})

function swapped(good: Buffer, first: number, whole: number): Buffer {
  const [one, two] = [good.subarray(first, first + whole), good.subarray(first + whole, first + 2 * whole)]
  return Buffer.concat([good.subarray(0, first), two, one, good.subarray(first + 2 * whole)])
}

test("a source that fails, or was not all, leaves no file, and what stood there before is gone", async (t) => {
  const { image } = await written(t)
  async function* fails() {
    yield randomBytes(frameBytes + 1)
    throw new Error("the source broke")
  }
  await assert.rejects(writeMemoryImage(image, {}, fails()), /the source broke/)
  assert.equal(existsSync(image.path), false)
  const notAll = async () => {
    throw new Error("not completed")
  }
  await assert.rejects(writeMemoryImage(image, {}, pieces(randomBytes(10)), notAll), /not completed/)
  assert.equal(existsSync(image.path), false)
  assert.equal(existsSync(`${image.path}.new`), false)
  appendFileSync(`${image.path}.new`, "left by a process that was killed")
  await writeMemoryImage(image, {}, pieces(randomBytes(10)))
  await readBack(image)
})
