import { test } from "node:test"
import type { PutResource, Query, Store } from "../types.ts"

/** One store under test. */
export interface Subject {
  readonly store: Store
  /** Closes the store and opens the same one again. */
  readonly reopen: () => Promise<Store>
  /** Closes what is open and removes it. */
  readonly dispose: () => Promise<void>
}

export type OpenStore = () => Promise<Subject>

/** A test on a store of its own. */
export function storeTest(open: OpenStore, name: string, body: (subject: Subject) => Promise<void>): void {
  test(name, async () => {
    const subject = await open()
    try {
      await body(subject)
    } finally {
      await subject.dispose()
    }
  })
}

/** A resource to put; what a test does not care about is filled in. */
export function resource(id: string, more: Partial<PutResource> = {}): PutResource {
  return { id, kind: "instance", account: "111", region: "here", schema: 1, record: { id }, facets: {}, ...more }
}

/** Ids of all pages of a query, read page by page. */
export async function allIds(store: Store, query: Partial<Query> = {}): Promise<string[]> {
  const ids: string[] = []
  let after: number | undefined
  do {
    const asked = { kind: "instance", accounts: [], regions: [], limit: 100, ...query, ...(after && { after }) }
    const page = await store.query(asked)
    ids.push(...page.items.map((item) => item.id))
    after = page.next
  } while (after !== undefined)
  return ids
}

export const event = { atMs: 5, kind: "changed", subject: "i-1", account: "111", region: "here", detail: { a: 1 } }
