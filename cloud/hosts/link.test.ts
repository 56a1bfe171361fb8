import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { type Store, StoreUnusableError } from "#store/types.ts"
import type { HostConnection, Observed } from "#host/protocol/types.ts"
import { createHostLink } from "./link.ts"

const seen: Observed = { resource: "vol-1", generation: 1, status: { kind: "volume", phase: "ready" } }

/** A link whose observations fail as told; `say` is the host's voice. */
function openLink(t: TestContext, fail: (attempt: number) => Error | undefined) {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  let attempts = 0
  let say: ((observed: Observed) => void) | undefined
  const logged: string[] = []
  const connection: Pick<HostConnection, "onObserved"> = { onObserved: (listener) => void (say = listener) }
  const link = createHostLink({
    // Nothing else of either is used while observations are carried out.
    store: {} as Store,
    connection: connection as HostConnection,
    observe: async () => {
      const error = fail(++attempts)
      if (error !== undefined) throw error
    },
    log: (message) => void logged.push(message),
  })
  const pass = async () => {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    t.mock.timers.tick(1000)
  }
  return { link, say: () => say?.(seen), pass, logged, attempts: () => attempts }
}

test("an observation waits for a store that cannot be written, however long", async (t) => {
  const { link, say, pass, logged, attempts } = openLink(t, (attempt) =>
    attempt <= 500 ? new StoreUnusableError("full", "the disk is full") : undefined,
  )
  say()
  for (let round = 0; round < 600; round++) await pass()
  assert.equal(attempts(), 501)
  assert.equal(link.pending(), 0)
  assert.deepEqual(logged, [])
})

test("an observation that fails by itself is given up and said so", async (t) => {
  const { link, say, pass, logged } = openLink(t, () => new Error("a bug"))
  say()
  for (let round = 0; round < 100; round++) await pass()
  assert.equal(link.pending(), 0)
  assert.deepEqual(logged, ["giving up on an observation of vol-1"])
})
