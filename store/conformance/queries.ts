import assert from "node:assert/strict"
import { allIds, resource, storeTest, type OpenStore } from "./subject.ts"

const exact = (name: string, ...values: string[]) => ({ name, values })
const wild = (name: string, ...values: string[]) => ({ name, values, wildcards: true })

const numbered = (at: number) =>
  resource(String(at), { facets: { state: ["running"], parity: [String(at % 2)], name: [`web-${at}-${at % 100}`] } })

/** Filters, wildcards, scopes and pages. */
export function queryTests(open: OpenStore): void {
  storeTest(open, "matches any value of a filter and all filters", async ({ store }) => {
    await store.commit({
      put: [
        resource("1", { facets: { state: ["running"], type: ["small"], group: ["a", "b"] } }),
        resource("2", { facets: { state: ["stopped"], type: ["small"], group: ["b"] } }),
        resource("3", { facets: { state: ["running"], type: ["large"], group: [] } }),
      ],
    })
    const find = (...facets: ReturnType<typeof exact>[]) => allIds(store, { facets })
    assert.deepEqual(await find(exact("state", "running")), ["1", "3"])
    assert.deepEqual(await find(exact("state", "running", "stopped")), ["1", "2", "3"])
    assert.deepEqual(await find(exact("group", "a", "b")), ["1", "2"])
    assert.deepEqual(await find(exact("state", "running"), exact("type", "small")), ["1"])
    assert.deepEqual(await find(exact("state", "running"), wild("type", "*")), ["1", "3"])
    assert.deepEqual(await find(wild("state", "r*"), wild("type", "*ll", "x")), ["1"])
    assert.deepEqual(await find(exact("state", "Running")), [])
    assert.deepEqual(await find(exact("state", "*")), [])
    assert.deepEqual(await find(exact("state")), [])
    assert.deepEqual(await find(exact("none", "running")), [])
  })

  storeTest(open, "reads wildcards as the API defines them", async ({ store }) => {
    const values = [
      "web-1",
      "web-10",
      "WEB-1",
      "w*b",
      "a[1]",
      "a1",
      "back\\slash",
      "-",
      "",
      "ü?",
      "世界",
      "tab\there",
      "\u{1f30d}!",
    ]
    await store.commit({
      put: values.map((value, at) => resource(String(at), { facets: { name: [value], name2: ["x"] } })),
    })
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["web-?", ["web-1"]],
      ["web-*", ["web-1", "web-10"]],
      ["*-1*", ["web-1", "web-10", "WEB-1"]],
      ["**1", ["web-1", "WEB-1", "a1"]],
      ["w\\*b", ["w*b"]],
      ["w*b", ["w*b"]],
      ["w?b*", ["w*b", "web-1", "web-10"]],
      ["a[1]", ["a[1]"]],
      ["a[*", ["a[1]"]],
      ["back\\\\slash", ["back\\slash"]],
      ["?", ["-"]],
      ["", [""]],
      ["*", values],
      ["??", ["a1", "ü?", "世界", "\u{1f30d}!"]],
      ["?\\?", ["ü?"]],
      ["tab\t*", ["tab\there"]],
      ["[!a]*", []],
      ["\\web-1", ["web-1"]],
      ["x".repeat(60_000), []],
    ]
    for (const [pattern, wanted] of cases) {
      const found = (await allIds(store, { facets: [wild("name", pattern)] })).map((id) => values[Number(id)])
      assert.equal(found.length, wanted.length, pattern)
      assert.deepEqual(new Set(found), new Set(wanted), pattern)
    }
  })

  storeTest(open, "answers a costly pattern at once", async ({ store }) => {
    await store.commit({ put: [resource("1", { facets: { name: ["a".repeat(1024)] } })] })
    const startMs = performance.now()
    assert.deepEqual(await allIds(store, { facets: [wild("name", `${"*a".repeat(300)}b`)] }), [])
    assert.ok(performance.now() - startMs < 1000)
  })

  storeTest(open, "keeps hostile facet names and values apart", async ({ store }) => {
    const long = "x".repeat(5000)
    const facets = {
      'tag:a"]': ["1"],
      "tag:a*": ["2"],
      "tag:a\u001fb": ["3"],
      "tag:\0": ["\0", "\ud800"],
      long: [long],
    }
    await store.commit({
      put: [resource("1", { facets }), resource("2", { facets: { "tag:ab": ["2"], long: ["y"] } })],
    })
    for (const [name, values] of Object.entries(facets)) {
      assert.deepEqual(await allIds(store, { facets: [exact(name, values[0] ?? "")] }), ["1"], name)
      assert.deepEqual(
        await allIds(store, { facets: [wild(name, "*"), exact(name, values.at(-1) ?? "")] }),
        ["1"],
        name,
      )
    }
    assert.deepEqual(await allIds(store, { facets: [wild("tag:a", "*")] }), [])
    await store.commit({ put: [resource("1")] })
    assert.deepEqual(await allIds(store, { facets: [wild("long", "*")] }), ["2"])
  })

  storeTest(open, "sees only the kinds, accounts and regions asked for", async ({ store }) => {
    const facets = { state: ["available"] }
    await store.commit({
      put: [
        resource("1", { account: "111", facets }),
        resource("2", { account: "public", facets }),
        resource("3", { account: "222", region: "there", facets }),
        resource("4", { kind: "volume", facets }),
        resource("5", { account: "111", region: "there", facets }),
      ],
    })
    for (const filter of [[], [exact("state", "available")], [wild("state", "a*")]]) {
      const find = (accounts: string[], regions: string[]) =>
        allIds(store, { accounts, regions, facets: filter, limit: 1 })
      assert.deepEqual(await find([], []), ["1", "2", "3", "5"])
      assert.deepEqual(await find(["111"], []), ["1", "5"])
      assert.deepEqual(await find(["111", "public"], ["here"]), ["1", "2"])
      assert.deepEqual(await find([], ["there"]), ["3", "5"])
      assert.deepEqual(await find(["333"], []), [])
    }
  })

  storeTest(open, "pages through many, with selective and unselective filters", async ({ store }) => {
    const total = 5000
    const all = Array.from({ length: total }, (_, at) => at)
    for (let start = 0; start < total; start += 500) {
      await store.commit({
        put: all.slice(start, start + 500).map(numbered),
      })
    }
    const find = async (...facets: ReturnType<typeof exact>[]) =>
      (await allIds(store, { facets, limit: 333 })).map(Number)
    assert.deepEqual(await find(), all)
    assert.deepEqual(await find(exact("state", "running")), all)
    assert.deepEqual(
      await find(exact("state", "running"), exact("parity", "1")),
      all.filter((at) => at % 2 === 1),
    )
    assert.deepEqual(await find(wild("name", "*")), all)
    assert.deepEqual(
      await find(wild("name", "*-7")),
      all.filter((at) => at % 100 === 7),
    )
    assert.deepEqual(
      await find(exact("state", "running"), wild("name", "*-7")),
      all.filter((at) => at % 100 === 7),
    )
    assert.deepEqual(await find(exact("parity", "0"), wild("name", "*-7", "web-12-*")), [12])
    assert.deepEqual(
      await find(wild("name", "*-1?"), wild("state", "*n*"), exact("parity", "1")),
      all.filter((at) => at % 100 > 9 && at % 100 < 20 && at % 2 === 1),
    )
    assert.deepEqual(await find(exact("parity", "0"), exact("name", "web-1-1")), [])
    const exactly = await store.query({ kind: "instance", accounts: [], regions: [], limit: total })
    assert.equal(exactly.next, undefined)
  })
}
