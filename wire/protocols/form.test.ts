import fc from "fast-check"
import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "#lib/fault.ts"
import { type FormNode, parseForm } from "./form.ts"

const limits = { depth: 6, members: 50 }

/** The tree back as pairs, sorted. */
function pairs(node: FormNode, path: string[] = []): [string, string][] {
  const own: [string, string][] = node.value === undefined ? [] : [[path.join("."), node.value]]
  const inner = [...(node.children ?? [])].flatMap(([name, child]) => pairs(child, [...path, name]))
  return [...own, ...inner].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

// What a form can hold: any text without the characters that XML cannot say.
const text = fc
  .string({ unit: "grapheme", maxLength: 10 })
  .map((each) => each.toWellFormed().replaceAll(/[\p{Cc}\ufffe\uffff]/gu, ""))
const name = fc
  .array(text, { minLength: 1, maxLength: 6 })
  .map((parts) => parts.map((part) => part.replaceAll(".", "")).join("."))

test("whatever a client encodes comes back, in the query or the body, with %20 or with plus", () => {
  fc.assert(
    fc.property(
      fc.dictionary(name, text, { maxKeys: 20, noNullPrototype: true }),
      fc.boolean(),
      fc.nat(20),
      (form, plus, cut) => {
        const encode = (each: string): string =>
          plus ? encodeURIComponent(each).replaceAll("%20", "+") : encodeURIComponent(each)
        // A pair of two empty texts is "=", which counts.
        const encoded = Object.entries(form).map(([key, value]) => `${encode(key)}=${encode(value)}`)
        const tree = parseForm([encoded.slice(0, cut).join("&"), encoded.slice(cut).join("&&")], limits)
        assert.deepEqual(
          pairs(tree),
          Object.entries(form).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        )
      },
    ),
    { numRuns: 300, seed: 31 },
  )
})

test("no text is parsed otherwise than to a tree or a Fault", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (query) => {
      try {
        parseForm([query], limits)
      } catch (error) {
        assert.ok(error instanceof Fault)
      }
    }),
    { numRuns: 1000, seed: 32 },
  )
})

test("the limits hold at their edge", () => {
  parseForm(["A.B.C.D.E.F=1"], limits)
  assert.throws(() => parseForm(["A.B.C.D.E.F.G=1"], limits), { code: "MalformedQueryString" })
  const many = Array.from({ length: 50 }, (_, n) => `P${n}`).join("&")
  parseForm([many], limits)
  assert.throws(() => parseForm([many, "One=1"], limits), { code: "MalformedQueryString" })
})
