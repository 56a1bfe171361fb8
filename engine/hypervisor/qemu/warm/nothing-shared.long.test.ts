import assert from "node:assert/strict"
import { test } from "node:test"
import { equals, showClones } from "./testing/nothing-shared.ts"

test("fifty clones of one template share nothing that they draw or are told", { timeout: 900_000 }, async () => {
  const shown = await showClones(50)
  assert.equal(shown.length, 50)
  assert.deepEqual([...equals(shown)], [])
})
