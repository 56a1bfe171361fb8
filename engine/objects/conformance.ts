/** What every driver of the objects engine passes. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import { BlobGoneError, type ObjectsEngine, TooLargeError } from "./types.ts"

type Body = (engine: ObjectsEngine) => Promise<void>

const bytesOf = (text: string) => Buffer.from(text)
async function* source(...parts: readonly string[]) {
  for (const part of parts) yield bytesOf(part)
}
async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

/** `open` gives an empty engine; it is closed here. */
export function objectsConformance(name: string, open: () => Promise<ObjectsEngine>): void {
  const each = (what: string, body: Body) =>
    void test(`${name}: ${what}`, async () => {
      const engine = await open()
      try {
        await body(engine)
      } finally {
        await engine.close()
      }
    })
  const make = async (engine: ObjectsEngine, space: string, object: string, ...parts: readonly string[]) => {
    const blobs = []
    for (const part of parts) blobs.push(await engine.write(source(part), 1000))
    return engine.put({ space, name: object, blobs, meta: { made: object }, atMs: 5 })
  }

  each("an object is the bytes that were written, whole and in ranges over its blobs", async (engine) => {
    const made = await make(engine, "a", "k", "hello ", "big ", "world")
    assert.equal(made.sizeBytes, 15)
    assert.equal(made.blobs[0]?.md5, createHash("md5").update("hello ").digest("hex"))
    const found = await engine.get("a", "k")
    assert.deepEqual(found, made)
    assert.ok(found)
    assert.equal(await textOf(engine.read(found, 0, 15)), "hello big world")
    assert.equal(await textOf(engine.read(found, 4, 12)), "o big wo")
    assert.equal(await textOf(engine.read(found, 6, 6)), "")
    assert.equal(await engine.get("a", "other"), undefined)
    assert.equal(await engine.get("b", "k"), undefined)
  })

  each("too many bytes, or a source that fails, leave nothing", async (engine) => {
    await assert.rejects(engine.write(source("12345", "6789"), 8), TooLargeError)
    async function* broken() {
      yield bytesOf("half")
      throw new Error("cut off")
    }
    await assert.rejects(engine.write(broken(), 100), /cut off/)
  })

  each("a guard sees what stands there and can leave it so", async (engine) => {
    await make(engine, "a", "k", "one")
    const blob = await engine.write(source("two"), 10)
    const refuse = engine.put({
      space: "a",
      name: "k",
      blobs: [blob],
      meta: {},
      atMs: 6,
      guard: (now) => {
        assert.equal(now?.sizeBytes, 3)
        throw new Error("no")
      },
    })
    await assert.rejects(refuse, /no/)
    const now = await engine.get("a", "k")
    assert.ok(now)
    assert.equal(await textOf(engine.read(now, 0, 3)), "one")
    await engine.discard([blob])
  })

  each("bytes stay as long as an object is made of them", async (engine) => {
    const first = await make(engine, "a", "k", "shared")
    const second = await engine.put({ space: "b", name: "copy", blobs: first.blobs, meta: {}, atMs: 7 })
    await engine.remove("a", ["k", "never there"])
    assert.equal(await engine.get("a", "k"), undefined)
    assert.equal(await textOf(engine.read(second, 0, 6)), "shared")
    // Replaced by itself, as a copy onto its own name does.
    const again = await engine.put({ space: "b", name: "copy", blobs: second.blobs, meta: { new: 1 }, atMs: 8 })
    assert.equal(await textOf(engine.read(again, 0, 6)), "shared")
    await engine.remove("b", ["copy"])
    const late = engine.put({ space: "b", name: "late", blobs: again.blobs, meta: {}, atMs: 9 })
    await assert.rejects(late, BlobGoneError)
    assert.equal(await engine.get("b", "late"), undefined)
  })

  each("parts become a whole at once", async (engine) => {
    const parts = [await make(engine, "up", "1", "ab"), await make(engine, "up", "2", "cd")]
    const whole = await engine.put({
      space: "a",
      name: "whole",
      blobs: parts.flatMap(({ blobs }) => blobs),
      meta: {},
      atMs: 9,
      removing: [
        { space: "up", name: "1" },
        { space: "up", name: "2" },
      ],
    })
    assert.equal(await engine.get("up", "1"), undefined)
    assert.equal(await textOf(engine.read(whole, 0, 4)), "abcd")
  })

  each("names are listed in the order of their bytes, with prefixes folded, in pages", async (engine) => {
    const names = ["a", "b/1", "b/2", "b/c/3", "b0", "c/", "z\u{1f600}", "z\uffee", "é"]
    for (const object of names.toReversed()) await make(engine, "s", object, "x")
    await make(engine, "other", "b/9", "x")
    const byBytes = names.toSorted((x, y) => Buffer.compare(bytesOf(x), bytesOf(y)))
    const walk = async (prefix: string, delimiter: string, limit: number) => {
      const seen: string[] = []
      let after = ""
      for (;;) {
        const page = await engine.list({ space: "s", prefix, delimiter, after, limit })
        assert.ok(page.objects.length + page.prefixes.length <= limit)
        seen.push(...page.objects.map((object) => object.name), ...page.prefixes)
        if (page.next === undefined) return seen.toSorted((x, y) => Buffer.compare(bytesOf(x), bytesOf(y)))
        after = page.next
      }
    }
    for (const limit of [1, 2, 3, 1000]) {
      assert.deepEqual(await walk("", "", limit), byBytes, `by ${limit}`)
      assert.deepEqual(
        await walk("", "/", limit),
        ["a", "b/", "b0", "c/", "z\uffee", "z\u{1f600}", "é"],
        `folded by ${limit}`,
      )
      assert.deepEqual(await walk("b/", "/", limit), ["b/1", "b/2", "b/c/"], `within by ${limit}`)
    }
    assert.deepEqual(await engine.list({ space: "s", prefix: "none", delimiter: "", after: "", limit: 5 }), {
      objects: [],
      prefixes: [],
    })
    const late = await engine.list({ space: "s", prefix: "b/", delimiter: "", after: "b/1", limit: 5 })
    assert.deepEqual(
      late.objects.map((object) => object.name),
      ["b/2", "b/c/3"],
    )
  })

  each("a space goes with the spaces below it, and no other", async (engine) => {
    for (const space of ["s", "s/uploads", "s/uploads/1", "s0", "t"]) await make(engine, space, "k", "x")
    await engine.removeSpace("s")
    for (const space of ["s", "s/uploads", "s/uploads/1"]) assert.equal(await engine.get(space, "k"), undefined)
    for (const space of ["s0", "t"]) assert.ok(await engine.get(space, "k"))
    await engine.reset()
    assert.equal(await engine.get("t", "k"), undefined)
  })
}
