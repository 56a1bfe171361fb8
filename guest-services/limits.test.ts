import assert from "node:assert/strict"
import { test } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { bucketPerSource, gaugePerSource } from "./limits.ts"

test("a bucket lets a burst through, then its rate, each source by itself", () => {
  let nowMs = 0
  const bucket = bucketPerSource(10, 5, { ...systemClock(), monotonicMs: () => nowMs })
  const taken = (source: string, times: number) =>
    Array.from({ length: times }, () => bucket.take(source)).filter(Boolean).length
  assert.equal(taken("a", 20), 5)
  assert.equal(taken("b", 1), 1)
  nowMs = 300
  assert.equal(taken("a", 20), 3)
  nowMs = 100_000
  assert.equal(taken("a", 20), 5)
})

test("a bucket remembers a bounded number of sources, and makes room by those that are full", () => {
  let nowMs = 0
  const bucket = bucketPerSource(10, 2, { ...systemClock(), monotonicMs: () => nowMs }, 2)
  assert.deepEqual(
    ["a", "b", "c"].map((source) => bucket.take(source)),
    [true, true, false],
  )
  nowMs = 1000
  assert.equal(bucket.take("c"), true)
})

test("a gauge counts per source and in all, and a place is given back once", () => {
  const gauge = gaugePerSource(2, 3)
  const [first, second, third] = [gauge.enter("a"), gauge.enter("a"), gauge.enter("a")]
  assert.ok(first && second)
  assert.equal(third, undefined)
  assert.ok(gauge.enter("b"))
  assert.equal(gauge.enter("c"), undefined)
  first()
  first()
  assert.ok(gauge.enter("c"))
  assert.equal(gauge.enter("d"), undefined)
})
