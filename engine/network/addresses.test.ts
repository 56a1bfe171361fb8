import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import {
  formatAddress,
  formatCidr,
  infrastructureAddress,
  overlaps,
  parseAddress,
  parseCidr,
  withoutOverlaps,
} from "./addresses.ts"

const anyCidr = fc
  .tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => formatCidr(parseCidr(`${formatAddress(address)}/${length}`, true)))

test("addresses are read strictly and written back the same", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => parseAddress(formatAddress(address)) === address),
  )
  for (const bad of ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "::1"])
    assert.throws(() => parseAddress(bad), bad)
  for (const bad of ["1.2.3.4", "1.2.3.4/33", "1.2.3.4/24", "1.2.3.0/-1", "1.2.3.0/24/24"])
    assert.throws(() => parseCidr(bad), bad)
  assert.deepEqual(parseCidr("0.0.0.0/0"), { first: 0, last: 0xffffffff, prefixLength: 0 })
  assert.equal(infrastructureAddress(4_194_303), "100.127.255.255")
})

test("a set of CIDRs without overlaps covers what it covered, and nothing twice", () => {
  fc.assert(
    fc.property(fc.array(anyCidr, { maxLength: 12 }), (cidrs) => {
      const kept = withoutOverlaps(cidrs).map((cidr) => parseCidr(cidr))
      for (const [at, range] of kept.entries())
        for (const other of kept.slice(at + 1)) assert.ok(!overlaps(range, other))
      for (const cidr of cidrs) {
        const range = parseCidr(cidr)
        assert.ok(kept.some((outer) => outer.first <= range.first && range.last <= outer.last))
      }
      assert.ok(kept.every((range) => cidrs.includes(formatCidr(range))))
    }),
  )
})
