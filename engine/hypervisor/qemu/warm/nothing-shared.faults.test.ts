import assert from "node:assert/strict"
import { test } from "node:test"
import { equals, showClones } from "./testing/nothing-shared.ts"

test("sixteen clones of one template share nothing that they draw or are told", { timeout: 400_000 }, async (t) => {
  const shown = await showClones(16)
  assert.equal(shown.length, 16)
  assert.deepEqual([...equals(shown)], [])
  for (const { id, facts, clock } of shown) {
    assert.equal(Object.keys(facts).length, 15, Object.keys(facts).join())
    for (const [name, value] of Object.entries(facts)) assert.ok(value.length > 5, `${id}: ${name}: ${value}`)
    // One whose time was told while this host had no time for it may be off by some of that.
    assert.ok(clock.leastMs < 1000 && clock.mostMs > -1000, `${id}: its clock is off by ${JSON.stringify(clock)} ms`)
  }
  const errors = shown.map(({ clock }) => (clock.leastMs + clock.mostMs) / 2).toSorted((one, two) => one - two)
  t.diagnostic(`clocks are off by ${errors.map((error) => error.toFixed(1)).join(" ")} ms`)
  assert.ok(Math.abs(errors[8] ?? NaN) < 50, errors.join())
})

test("told no entropy, they draw the same: so the test before this one can fail", { timeout: 400_000 }, async () => {
  const wanted = ["urandom", "canary", "stack", "mapping", "sequence numbers"]
  // A clone that takes five seconds to draw finds a state that the kernel has renewed by itself: each is to be seen equal once.
  const found = new Set<string>()
  for (let round = 1; !wanted.every((name) => found.has(name)); round++) {
    assert.ok(round < 9, [...found].join())
    for (const name of equals(await showClones(3, "entropy")).keys()) found.add(name)
  }
})
