import assert from "node:assert/strict"
import fc from "fast-check"
import type { Commit, FacetMatch, PutResource, Store } from "../types.ts"
import { createModel, matches, type Model } from "./model.ts"
import { allIds, event, resource, storeTest, type OpenStore } from "./subject.ts"

const id = fc.constantFrom("a", "b", "c", "d", "e", "f")
const name = fc.constantFrom("state", "tag:Name", "tag:")
const value = fc
  .array(fc.constantFrom("a", "b", "*", "?", "[", "]", "\\", "é", "\u{1f30d}"), { maxLength: 3 })
  .map((chars) => chars.join(""))
const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 3 })

const put: fc.Arbitrary<PutResource> = fc
  .record({
    id,
    record: fc.jsonValue(),
    facets: fc.dictionary(name, few(value), { maxKeys: 3, noNullPrototype: true }),
  })
  // JSON has no negative zero.
  .map(({ id, record, facets }) => resource(id, { record: JSON.parse(JSON.stringify(record)), facets }))
const reference = fc.record({ from: id, to: id, role: fc.constantFrom("blocks" as const, "owned", "mentions") })
const claim = fc.record({ scope: fc.constantFrom("s", "t"), key: fc.constantFrom("1", "2", "3", "x"), owner: id })
const host = "h"

const commit: fc.Arbitrary<Commit> = fc.record({
  expect: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: few(fc.tuple(id, fc.nat(2))) }),
  put: few(put),
  delete: fc.oneof(fc.constant([]), few(id)),
  link: fc.oneof(fc.constant([]), few(reference)),
  unlink: few(reference),
  claim: fc.oneof(fc.constant([]), few(claim)),
  release: few(claim),
  assign: few(id.map((resource) => ({ host, resource, kind: "k", spec: { of: resource } }))),
  unassign: few(id.map((resource) => ({ host, resource }))),
  event: fc.array(fc.constant(event), { maxLength: 2 }),
})
const filter: fc.Arbitrary<FacetMatch> = fc.record({ name, values: few(value), wildcards: fc.boolean() })
const run = fc.record({
  commits: fc.array(commit, { minLength: 1, maxLength: 12 }),
  filters: fc.array(few(filter), { maxLength: 6 }),
})

/** Any sequence of commits leaves the driver as it leaves the model. */
export function modelTests(open: OpenStore): void {
  storeTest(open, "does what the model does, whatever is asked", async ({ store }) => {
    const model = createModel()
    await fc.assert(
      fc.asyncProperty(run, async ({ commits, filters }) => {
        await store.reset()
        model.reset()
        for (const each of commits) await both(store, model, each)
        await sameState(store, model)
        for (const facets of filters) {
          const wanted = [...model.state.resources.values()].filter((held) =>
            facets.every((match) => matches(held, match)),
          )
          assert.deepEqual(
            await allIds(store, { facets, limit: 2 }),
            wanted.map((held) => held.id),
          )
        }
      }),
      { numRuns: 150 },
    )
  })
}

/** Runs a commit on both; either both refuse it in the same words, or neither. */
async function both(store: Store, model: Model, each: Commit): Promise<void> {
  let refused: unknown
  try {
    model.commit(each)
  } catch (error) {
    refused = error
  }
  if (refused instanceof Error) {
    // Which of several blocked ids is named is left to the driver.
    await assert.rejects(store.commit(each), (error: Error) => error.constructor === refused.constructor)
    return
  }
  const { seq, versions } = await store.commit(each)
  assert.equal(seq, model.seq)
  for (const [id, version] of versions) assert.equal(version, model.state.resources.get(id)?.version)
}

async function sameState(store: Store, model: Model): Promise<void> {
  const { resources, references, claims, assignments } = model.state
  const ids = ["a", "b", "c", "d", "e", "f"]
  const read = await store.getMany(ids)
  assert.equal(read.size, resources.size)
  for (const [id, { version, record }] of resources) {
    assert.deepEqual({ version: read.get(id)?.version, record: read.get(id)?.record }, { version, record })
  }
  assert.deepEqual(await allIds(store, { limit: 2 }), [...resources.keys()])
  for (const direction of ["from", "to"] as const) {
    assert.deepEqual(sorted(await store.related(ids, direction)), sorted([...references.values()]))
  }
  for (const scope of ["s", "t"]) {
    const held = [...claims.values()].filter((claim) => claim.scope === scope)
    assert.deepEqual(sorted(await store.claims(scope)), sorted(held))
    const free = [1, 2, 3, 4].find((number) => !held.some(({ key }) => key === String(number)))
    assert.equal(await store.freeNumber(scope, 1, 4), free)
  }
  const assigned = (await store.assignments(host)).map(({ resource, spec }) => ({ resource, spec }))
  assert.deepEqual(sorted(assigned), sorted([...assignments.values()]))
}

function sorted(items: readonly object[]): string[] {
  return items.map((item) => JSON.stringify(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))).toSorted()
}
