import assert from "node:assert/strict"
import { BlockedError, ConflictError } from "../types.ts"
import { allIds, event, resource, storeTest, type OpenStore } from "./subject.ts"

/** Resources, versions, references and deletion. */
export function commitTests(open: OpenStore): void {
  storeTest(open, "gives back what was put, also after it is opened again", async ({ store, reopen }) => {
    const record = {
      text: "Grüße, 世界 \u{1f30d} \0 \ud800",
      list: [1, -0.5, null, true, { deep: {} }],
      large: 2 ** 53 - 1,
    }
    const { versions, seq } = await store.commit({ put: [resource("i-1", { record, schema: 3 })] })
    assert.deepEqual([...versions], [["i-1", 1]])
    assert.equal(seq, 0)
    const read = (await store.getMany(["i-1", "i-none"])).get("i-1")
    const { facets: _, ...put } = resource("i-1", { record, schema: 3 })
    assert.deepEqual(read, { ...put, version: 1, sequence: 1 })
    const again = await reopen()
    assert.deepEqual((await again.getMany(["i-1"])).get("i-1"), read)
    assert.equal((await again.getMany(["i-none"])).size, 0)
  })

  storeTest(open, "keeps a record of 1 MB", async ({ store }) => {
    const record = { data: "é\n".repeat(500_000) }
    await store.commit({ put: [resource("i-1", { record })] })
    assert.deepEqual((await store.getMany(["i-1"])).get("i-1")?.record, record)
  })

  storeTest(open, "raises the version, keeps the sequence and replaces the facets", async ({ store }) => {
    await store.commit({ put: [resource("i-1", { facets: { state: ["pending"], tag: ["a", "b"] } }), resource("i-2")] })
    const before = (await store.getMany(["i-1"])).get("i-1")
    const { versions } = await store.commit({ put: [resource("i-1", { record: 2, facets: { state: ["running"] } })] })
    assert.equal(versions.get("i-1"), 2)
    assert.deepEqual((await store.getMany(["i-1"])).get("i-1"), { ...before, version: 2, record: 2 })
    assert.deepEqual(await allIds(store, { facets: [{ name: "state", values: ["pending"] }] }), [])
    assert.deepEqual(await allIds(store, { facets: [{ name: "tag", values: ["a", "b"] }] }), [])
    assert.deepEqual(await allIds(store, { facets: [{ name: "state", values: ["running"] }] }), ["i-1"])
    assert.deepEqual(await allIds(store), ["i-1", "i-2"])
  })

  storeTest(open, "does nothing of a commit whose expectation fails", async ({ store }) => {
    await store.commit({ put: [resource("i-1")] })
    const all = {
      put: [resource("i-2")],
      delete: ["i-1"],
      link: [{ from: "i-2", to: "i-1", role: "mentions" as const }],
      claim: [{ scope: "s", key: "k", owner: "o" }],
      assign: [{ host: "h", resource: "i-2", kind: "k", spec: {} }],
      event: [event],
    }
    for (const expected of [
      ["i-1", 2],
      ["i-1", 0],
      ["i-9", 1],
    ] as const) {
      await assert.rejects(store.commit({ ...all, expect: [["i-1", 1], expected] }), (error) => {
        assert.ok(error instanceof ConflictError)
        assert.equal(error.id, expected[0])
        return true
      })
    }
    assert.deepEqual(await allIds(store), ["i-1"])
    assert.deepEqual(await store.related(["i-1"], "to"), [])
    assert.deepEqual(await store.claims("s"), [])
    assert.deepEqual(await store.assignments("h"), [])
    assert.deepEqual(await store.changes(0, 10), [])
    await store.commit({
      ...all,
      delete: [],
      expect: [
        ["i-1", 1],
        ["i-2", 0],
      ],
    })
    assert.deepEqual(await allIds(store), ["i-1", "i-2"])
  })

  storeTest(open, "refuses what it could not keep, and does nothing of it", async ({ store }) => {
    await store.commit({ put: [resource("i-1")] })
    const bad = [
      { put: [resource("i-2"), resource("i-1", { kind: "volume" })] },
      { put: [resource("i-2"), resource("i-1", { account: "222" })] },
      { put: [resource("i-2"), resource("a\0b")] },
      { put: [resource("i-2"), resource("i-3", { schema: 0.5 })] },
      { put: [resource("i-2")], link: [{ from: "i-2", to: "i-1", role: JSON.parse('"likes"') }] },
    ]
    for (const commit of bad) await assert.rejects(store.commit(commit), TypeError)
    assert.deepEqual(await allIds(store), ["i-1"])
    await assert.rejects(store.query({ kind: "instance", accounts: [], regions: [], limit: 0 }), TypeError)
  })

  storeTest(open, "does not delete what something that stays blocks", async ({ store }) => {
    await store.commit({
      put: [resource("vpc"), resource("subnet"), resource("eni")],
      link: [
        { from: "subnet", to: "vpc", role: "blocks" },
        { from: "eni", to: "subnet", role: "blocks" },
        { from: "eni", to: "vpc", role: "blocks" },
      ],
    })
    await assert.rejects(store.commit({ delete: ["vpc"] }), (error) => {
      assert.ok(error instanceof BlockedError)
      assert.equal(error.id, "vpc")
      assert.deepEqual(error.by, ["eni", "subnet"])
      return true
    })
    assert.equal((await allIds(store)).length, 3)
    await store.commit({ unlink: [{ from: "eni", to: "subnet", role: "blocks" }], delete: ["subnet"] })
    assert.deepEqual(await allIds(store), ["vpc", "eni"])
    await store.commit({ delete: ["vpc", "eni"] })
    assert.deepEqual(await allIds(store), [])
  })

  storeTest(
    open,
    "deletes what is owned with its owner, and their claims, references and facets",
    async ({ store }) => {
      await store.commit({
        put: [
          resource("i"),
          resource("eni", { facets: { ip: ["10.0.0.1"] } }),
          resource("address"),
          resource("group"),
          resource("log"),
        ],
        link: [
          { from: "eni", to: "i", role: "owned" },
          { from: "address", to: "eni", role: "owned" },
          { from: "eni", to: "group", role: "blocks" },
          { from: "log", to: "eni", role: "mentions" },
          { from: "eni", to: "log", role: "mentions" },
        ],
        claim: [
          { scope: "ip", key: "10.0.0.1", owner: "eni" },
          { scope: "ip", key: "10.0.0.2", owner: "group" },
        ],
      })
      await store.commit({ delete: ["i"] })
      assert.deepEqual(await allIds(store), ["group", "log"])
      assert.deepEqual(await allIds(store, { facets: [{ name: "ip", values: ["10.0.0.1"] }] }), [])
      assert.deepEqual(await store.claims("ip"), [{ scope: "ip", key: "10.0.0.2", owner: "group" }])
      assert.deepEqual(await store.related(["eni"], "from"), [])
      assert.deepEqual(await store.related(["eni", "i", "group"], "to"), [{ from: "log", to: "eni", role: "mentions" }])
      await store.commit({ delete: ["group", "never-was"] })
      assert.deepEqual(await allIds(store), ["log"])
    },
  )

  storeTest(open, "refuses a lasting reference to or from what is gone", async ({ store }) => {
    await store.commit({ put: [resource("a")] })
    for (const [from, to] of [
      ["a", "gone"],
      ["gone", "a"],
    ] as const) {
      for (const role of ["blocks", "owned"] as const) {
        await assert.rejects(store.commit({ link: [{ from, to, role }] }), ConflictError)
      }
    }
    await store.commit({ link: [{ from: "a", to: "gone", role: "mentions" }] })
    assert.deepEqual(await store.related(["gone"], "to", "mentions"), [{ from: "a", to: "gone", role: "mentions" }])
    assert.deepEqual(await store.related(["gone"], "to", "blocks"), [])
  })
}
