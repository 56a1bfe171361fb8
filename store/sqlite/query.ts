import type { DatabaseSync } from "node:sqlite"
import type { FacetMatch, Page, Query, Stored } from "../types.ts"
import { numbers } from "./statement.ts"
import { criteria, manyMatches, merge, type Walk } from "./criterion.ts"

/** A walk of unselective filters looks at this many resources before it reads a wildcard filter's matches instead. */
const patienceRows = 1024
const chunkRows = 256
const maxChunkRows = 4096
const maxLimit = 100_000

/**
 * Pages of resources. Each scope (kind, account, region) asked for is searched by itself: along the filter with the fewest
 * matches, the others checked on what it gives; the results are merged by sequence.
 */
export function queryReads(db: DatabaseSync, bySequences: (sequences: readonly number[]) => readonly Stored[]) {
  const { everything, criterion } = criteria(db)
  const scopesOf = numbers(
    db,
    `
    select id from scope where kind = ?1
      and (?2 = '[]' or account in (select value from json_each(?2)))
      and (?3 = '[]' or region in (select value from json_each(?3)))`,
  )

  const search = (scope: number, facets: readonly FacetMatch[], after: number, wanted: number): readonly number[] => {
    const filters = facets.map((match) => criterion(scope, match))
    const [first] = filters
    if (!first) return everything(scope).take(after, wanted)
    if (filters.length === 1 && !first.wildcards) return first.take(after, wanted)

    const counted = filters.map((filter) => ({ filter, count: filter.estimate(after) }))
    const fewest = counted.reduce((best, each) => (each.count < best.count ? each : best))
    if (fewest.count === 0) return []
    const wild = filters.find((filter) => filter.wildcards)
    if (fewest.count < manyMatches) return collect(fewest.filter, after, wanted)
    const exact = filters.find((filter) => !filter.wildcards)
    return collect(exact ?? everything(scope), after, wanted)

    function collect(start: Walk, from: number, count: number): readonly number[] {
      const found: number[] = []
      let walk = start
      let at = from
      let looked = 0
      for (;;) {
        const chunk = walk.take(at, Math.max(chunkRows, Math.min(looked, maxChunkRows)))
        if (chunk.length === 0) return found
        let kept = chunk
        for (const filter of filters) if (filter !== walk && kept.length > 0) kept = filter.keep(kept)
        for (const sequence of kept) {
          found.push(sequence)
          if (found.length === count) return found
        }
        at = chunk.at(-1) ?? at
        looked += chunk.length
        if (looked >= patienceRows && wild) walk = wild
      }
    }
  }

  return (query: Query): Page => {
    const { kind, accounts, regions, facets = [], after = 0, limit } = query
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxLimit) {
      throw new TypeError(`limit is not within 1 and ${maxLimit}`)
    }
    const scopes = scopesOf(kind, JSON.stringify(accounts), JSON.stringify(regions))
    const found = merge(scopes.map((id) => search(id, facets, after, limit + 1)))
    const page = found.slice(0, limit)
    const items = bySequences(page)
    const last = page.at(-1)
    return found.length > limit && last !== undefined ? { items, next: last } : { items }
  }
}
