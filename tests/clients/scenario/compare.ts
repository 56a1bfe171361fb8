/** What two clients were told, compared. */
import assert from "node:assert/strict"
import type { Line } from "./run.ts"

/**
 * One line at a time: a difference names its operation. A client that is not `complete` shows fewer members; those that it shows must
 * be as expected.
 */
export function assertSame(actual: readonly Line[], expected: readonly Line[], complete: boolean): void {
  assert.equal(actual.length, expected.length)
  for (const [index, line] of actual.entries()) {
    const want = expected[index]
    const wanted = want === undefined || complete ? want : toOldClient(want, line)
    assert.deepEqual(line, wanted, `step ${index}, ${line.operation}`)
  }
}

/** Operations that answered nothing in the older releases. */
const onceSilent = new Set(["DeleteKeyPair", "DeleteSecurityGroup"])

function toOldClient(want: Line, shown: Line): Line {
  return onceSilent.has(want.operation) && "result" in want.answer
    ? { ...want, answer: { result: {} } }
    : (asFarAsShown(want, shown) as Line)
}

/** What is expected of a client that knows no more members than it showed. One that showed nothing at all is not believed. */
function asFarAsShown(want: unknown, shown: unknown): unknown {
  if (typeof want !== "object" || want === null || typeof shown !== "object" || shown === null) return want
  if (Array.isArray(want))
    return want.map((each, index) => asFarAsShown(each, Array.isArray(shown) ? shown[index] : undefined))
  const known = Object.entries(want).filter(([name]) => Object.hasOwn(shown, name))
  if (known.length === 0) return want
  return Object.fromEntries(
    known.map(([name, each]) => [name, asFarAsShown(each, (shown as Record<string, unknown>)[name])]),
  )
}
