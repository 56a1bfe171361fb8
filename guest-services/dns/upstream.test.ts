import assert from "node:assert/strict"
import { test } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { type Upstream, upstreamAsker } from "./upstream.ts"

type Does = "answers" | "fails" | "is silent"

/** Upstreams that note who was asked; each answers with its own name. */
function scene() {
  const asked: string[] = []
  const aborted: string[] = []
  const does = new Map<string, Does>()
  const upstream = (name: string): Upstream => ({
    name,
    ask(_message, _way, signal) {
      asked.push(name)
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
      if (does.get(name) === "fails") reject(new Error("refused"))
      else if (does.get(name) !== "is silent") resolve(Buffer.from(name))
      signal.addEventListener("abort", () => {
        aborted.push(name)
        reject(new Error("given up"))
      })
      return promise
    },
  })
  return { asked, aborted, does, upstream }
}

test("the next is asked when one fails, and first for half a minute", async () => {
  const { asked, does, upstream } = scene()
  let nowMs = 0
  const ask = upstreamAsker({ ...systemClock(), monotonicMs: () => nowMs })
  const both = [upstream("a"), upstream("b")]
  const answer = async () => String(await ask(Buffer.alloc(12), "udp", both))
  does.set("a", "fails")
  assert.equal(await answer(), "b")
  assert.deepEqual(asked.splice(0), ["a", "b"])
  does.set("a", "answers")
  assert.equal(await answer(), "b")
  assert.deepEqual(asked.splice(0), ["b"])
  nowMs = 31_000
  assert.equal(await answer(), "a")
  assert.deepEqual(asked.splice(0), ["a"])
})

test("one that is silent is not waited for: the next is asked beside it, and it is given up", async () => {
  const { asked, aborted, does, upstream } = scene()
  const ask = upstreamAsker(systemClock())
  does.set("a", "is silent")
  const startMs = performance.now()
  assert.equal(String(await ask(Buffer.alloc(12), "udp", [upstream("a"), upstream("b")])), "b")
  assert.ok(performance.now() - startMs < 3_000)
  assert.deepEqual([asked, aborted.includes("a")], [["a", "b"], true])
})

test("when all fail, or there is nobody, that is known at once", async () => {
  const { does, upstream } = scene()
  const ask = upstreamAsker(systemClock())
  for (const name of ["a", "b"]) does.set(name, "fails")
  assert.equal(await ask(Buffer.alloc(12), "udp", [upstream("a"), upstream("b")]), undefined)
  assert.equal(await ask(Buffer.alloc(12), "udp", []), undefined)
})
