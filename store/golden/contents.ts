import type { Store } from "../types.ts"

/** All that a store says of itself, for the comparison with what it said when it was made. */
export async function contents(store: Store): Promise<unknown> {
  const everything = { accounts: [], regions: [], limit: 1000 }
  const kinds = await Promise.all(["instance", "volume", "vpc"].map((kind) => store.query({ ...everything, kind })))
  const ids = kinds.flatMap(({ items }) => items.map(({ id }) => id))
  const filtered = await store.query({
    ...everything,
    kind: "instance",
    facets: [
      { name: "tag:Name", values: ["web*"], wildcards: true },
      { name: "instance-state-name", values: ["running"] },
    ],
  })
  return {
    resources: kinds.flatMap(({ items }) => items),
    references: await store.related([...ids, "img-gone"], "to"),
    claims: [await store.claims("address"), await store.claims("number")],
    freeNumber: await store.freeNumber("number", 1, 10),
    assignments: await store.assignments("host-1"),
    events: await store.changes(0, 1000),
    filtered: filtered.items.map(({ id }) => id),
  }
}
