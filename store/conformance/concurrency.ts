import assert from "node:assert/strict"
import { ClaimTakenError, ConflictError } from "../types.ts"
import { allIds, event, resource, storeTest, type OpenStore } from "./subject.ts"

/** What many callers at once may rely on. */
export function concurrencyTests(open: OpenStore): void {
  storeTest(open, "lets one of 200 racing commits win, and fails no bystander", async ({ store }) => {
    await store.commit({ put: [resource("i-1")] })
    const racers = Array.from({ length: 200 }, (_, at) =>
      store.commit({ expect: [["i-1", 1]], put: [resource("i-1", { record: at })], event: [event] }),
    )
    const bystanders = Array.from({ length: 50 }, (_, at) =>
      store.commit({ put: [resource(`b-${at}`)], event: [event] }),
    )
    const results = await Promise.allSettled(racers)
    const won = results.flatMap((result, at) => (result.status === "fulfilled" ? [at] : []))
    assert.equal(won.length, 1)
    for (const result of results) if (result.status === "rejected") assert.ok(result.reason instanceof ConflictError)
    await Promise.all(bystanders)
    assert.equal((await store.getMany(["i-1"])).get("i-1")?.record, won[0])
    const seqs = (await store.changes(0, 1000)).map(({ seq }) => seq)
    assert.deepEqual(
      seqs,
      Array.from({ length: 51 }, (_, at) => at + 1),
    )
  })

  storeTest(open, "gives one claim of many at once", async ({ store }) => {
    const asked = Array.from({ length: 100 }, (_, at) =>
      store.commit({ claim: [{ scope: "s", key: "k", owner: `o-${at}` }] }),
    )
    const results = await Promise.allSettled(asked)
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1)
    for (const result of results) if (result.status === "rejected") assert.ok(result.reason instanceof ClaimTakenError)
  })

  storeTest(open, "shows a commit to reads as soon as it resolves", async ({ store }) => {
    const write = async (writer: number): Promise<void> => {
      for (let round = 1; round <= 20; round += 1) {
        const id = `i-${writer}`
        await store.commit({ put: [resource(id, { record: round, facets: { round: [String(round)] } })] })
        assert.equal((await store.getMany([id])).get(id)?.record, round)
        const ids = await allIds(store, { facets: [{ name: "round", values: [String(round)] }] })
        assert.ok(ids.includes(id))
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, writer) => write(writer)))
  })

  storeTest(open, "misses and repeats nothing while pages are read and more is written", async ({ store }) => {
    const early = Array.from({ length: 300 }, (_, at) => `early-${at}`)
    await store.commit({ put: early.map((id) => resource(id, { facets: { state: ["running"] } })) })
    const reader = { reading: true }
    const write = async (): Promise<void> => {
      for (let at = 0; reader.reading; at += 1) {
        const deleted = at > 0 ? [`late-${at - 1}`] : []
        await store.commit({ put: [resource(`late-${at}`, { facets: { state: ["running"] } })], delete: deleted })
      }
    }
    const writing = write()
    try {
      const ids = await allIds(store, { facets: [{ name: "state", values: ["running"] }], limit: 7 })
      assert.equal(new Set(ids).size, ids.length)
      assert.deepEqual(
        ids.filter((id) => id.startsWith("early")),
        early,
      )
    } finally {
      reader.reading = false
      await writing
    }
  })

  storeTest(open, "finishes what was asked before it closes", async ({ store, reopen }) => {
    const asked = Array.from({ length: 300 }, (_, at) => store.commit({ put: [resource(`i-${at}`)] }))
    const again = await reopen()
    await Promise.all(asked)
    assert.equal((await allIds(again)).length, 300)
  })
}
