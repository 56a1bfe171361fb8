import assert from "node:assert/strict"
import { test } from "node:test"
import { createLateBodies } from "./late-bodies.ts"

test("a short body that does not come costs its client the connection, one that came does not", async () => {
  let nowMs = 0
  const late = createLateBodies(100, { monotonicMs: () => nowMs })
  const cut: string[] = []
  let told: (() => void) | undefined
  const isCut = new Promise<void>((resolve) => (told = resolve))
  const request = (name: string, complete = false) => ({
    complete,
    destroy(): never {
      cut.push(name)
      told?.()
      return undefined as never
    },
  })
  const [first, second, third] = [request("came"), request("never came"), request("began later")]
  const begun = late.begin(first)
  late.begin(request("is complete", true))
  late.begin(second)
  nowMs = 60
  late.begin(third)
  late.done(begun)
  nowMs = 120
  // The timer of the server does not keep a process alive: this one does.
  const alive = setTimeout(() => {}, 20_000)
  await isCut
  clearTimeout(alive)
  assert.deepEqual(cut, ["never came"])
})
