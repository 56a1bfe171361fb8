import assert from "node:assert/strict"
import { test } from "node:test"
import { equals, showClones } from "./testing/nothing-shared.ts"

test("sixteen clones of one template share nothing that they draw or are told", { timeout: 400_000 }, async () => {
  const shown = await showClones(16)
  assert.equal(shown.length, 16)
  assert.deepEqual([...equals(shown)], [])
  for (const { id, facts, clock } of shown) {
    assert.equal(Object.keys(facts).length, 15, Object.keys(facts).join())
    for (const [name, value] of Object.entries(facts)) assert.ok(value.length > 5, `${id}: ${name}: ${value}`)
    assert.ok(clock.leastMs < 50 && clock.mostMs > -50, `${id}: its clock is off by ${JSON.stringify(clock)} ms`)
  }
})

test("told no entropy, they draw the same: so the test before this one can fail", { timeout: 400_000 }, async () => {
  const found = equals(await showClones(3, "entropy"))
  for (const name of ["urandom", "canary", "stack", "mapping", "sequence numbers"]) assert.ok(found.has(name), name)
})
