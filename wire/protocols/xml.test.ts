import { parseXML } from "@aws-sdk/xml-builder"
import fc from "fast-check"
import assert from "node:assert/strict"
import { test } from "node:test"
import { dateTime, escapeXml } from "./xml.ts"

test("any text survives a parser, less what XML cannot say", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const sayable = text
        .replaceAll(/[\ud800-\udfff]/gu, "")
        // oxlint-disable-next-line no-control-regex
        .replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")
      const escaped = escapeXml(text)
      assert.doesNotMatch(escaped, /[<>]|&(?!amp;|lt;|gt;|#xD;)/)
      assert.deepEqual(parseXML(`<a><b>x${escaped}x</b></a>`), { a: { b: `x${sayable}x` } })
    }),
    { numRuns: 1000, seed: 41 },
  )
})

test("lone surrogates and control characters are dropped, pairs and line ends stay", () => {
  assert.equal(escapeXml("a\ud800b\udc00c\0d\u001be"), "abcde")
  assert.equal(escapeXml("\u{1f600}\t\n\r]]>"), "\u{1f600}\t\n&#xD;]]&gt;")
})

test("times have milliseconds, also when thousands were written before", () => {
  for (let n = 0; n < 10_000; n++) dateTime(new Date(n * 1000))
  assert.equal(dateTime(new Date(Date.UTC(2026, 0, 2, 3, 4, 5))), "2026-01-02T03:04:05.000Z")
  assert.equal(dateTime(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6))), "2026-01-02T03:04:05.006Z")
  assert.throws(() => dateTime(new Date(Number.NaN)), RangeError)
})
