import fc from "fast-check"
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import { hmacHex, hmacKey } from "./hmac.ts"

test("agrees with Node's HMAC for every key and message", () => {
  const keys = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))
  const messages = fc.array(fc.string({ unit: "binary", maxLength: 300 }), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(keys, messages, (key, texts) => {
      const prepared = hmacKey(key)
      for (const text of texts) {
        assert.equal(hmacHex(prepared, text), createHmac("sha256", key).update(text).digest("hex"))
      }
    }),
  )
})

test("gives the values of RFC 4231", () => {
  // https://www.rfc-editor.org/rfc/rfc4231 test cases 1 and 2
  assert.equal(
    hmacHex(hmacKey(Buffer.alloc(20, 0x0b)), "Hi There"),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  )
  assert.equal(
    hmacHex(hmacKey(Buffer.from("Jefe")), "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  )
  assert.throws(() => hmacKey(Buffer.alloc(65)), RangeError)
})
