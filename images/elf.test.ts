import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { test } from "node:test"
import { dynamicNeeds } from "./elf.ts"

/** One segment that loads the whole file at address 0x1000, one dynamic section, one interpreter. */
function program(): Buffer {
  const file = Buffer.alloc(0x200)
  file.write("\x7fELF\x02\x01", "latin1")
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(3, 56)
  const segments = [
    [1, 0, 0x1000, 0x200],
    [2, 0x100, 0x1100, 0x50],
    [3, 0x1a0, 0x11a0, 8],
  ] as const
  for (const [index, [type, offset, address, size]] of segments.entries()) {
    const at = 64 + index * 56
    file.writeUInt32LE(type, at)
    file.writeBigUInt64LE(BigInt(offset), at + 8)
    file.writeBigUInt64LE(BigInt(address), at + 16)
    file.writeBigUInt64LE(BigInt(size), at + 32)
  }
  const entries = [
    [1, 1],
    [29, 11],
    [5, 0x1180],
    [0, 0],
  ] as const
  for (const [index, [tag, value]] of entries.entries()) {
    file.writeBigInt64LE(BigInt(tag), 0x100 + index * 16)
    file.writeBigUInt64LE(BigInt(value), 0x108 + index * 16)
  }
  file.write("\0libc.so.6\0/a:/b\0", 0x180, "latin1")
  file.write("/ld.so\0", 0x1a0, "latin1")
  return file
}

test("reads the loader, the libraries and where to look for them", () => {
  assert.deepEqual(dynamicNeeds(program()), {
    interpreter: "/ld.so",
    libraries: ["libc.so.6"],
    searchPaths: ["/a", "/b"],
  })
})

test("knows the libraries of the program that runs this test", async () => {
  const needs = dynamicNeeds(await readFile(process.execPath))
  assert.ok(needs)
  assert.ok(needs.libraries.includes("libc.so.6"))
  assert.match(needs.interpreter ?? "", /^\/.*ld-/)
})

test("a script is no ELF file, and one that is cut off is refused", () => {
  assert.equal(dynamicNeeds(Buffer.from("#!/bin/sh\n".padEnd(100))), undefined)
  for (const length of [80, 0x110, 0x185]) assert.throws(() => dynamicNeeds(program().subarray(0, length)), RangeError)
})

test("a name table outside of the file is refused", () => {
  const file = program()
  file.writeBigUInt64LE(0x9000n, 0x108 + 32)
  assert.throws(() => dynamicNeeds(file), RangeError)
})
