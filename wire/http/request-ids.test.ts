import assert from "node:assert/strict"
import { test } from "node:test"
import { createRequestIds } from "./request-ids.ts"

test("ids have the shape of a random UUID, and no two of two makers are alike", () => {
  const [one, other] = [createRequestIds(), createRequestIds()]
  const count = 140_000
  const ids = new Set<string>()
  for (let at = 0; at < count; at++) {
    const id = (at % 2 === 0 ? one : other)()
    if (at % 1000 === 0) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    ids.add(id)
  }
  assert.equal(ids.size, count)
})
