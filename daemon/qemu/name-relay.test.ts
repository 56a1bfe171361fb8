import assert from "node:assert/strict"
import { test } from "node:test"
import { needsRelay } from "./name-relay.ts"

const at = (...addresses: string[]) => addresses.map((address) => ({ address, port: 53 }))

test("the relay runs while no resolver beyond the host is reached without it", () => {
  const own = new Set(["127.0.0.1", "192.0.2.1"])
  const needed = (...direct: string[]) => needsRelay({ named: at("127.0.0.1"), direct: at(...direct) }, own)
  assert.equal(needed(), true)
  assert.equal(needed("192.0.2.1"), true, "at an address of the host's own")
  assert.equal(needed("192.0.2.2"), false)
  assert.equal(needed("192.0.2.1", "192.0.2.2"), false)
})
