import type { DatabaseSync } from "node:sqlite"
import type { FacetMatch } from "../types.ts"
import { numbers } from "./statement.ts"
import { term, termPattern } from "./term.ts"

/** Estimates stop counting here: what has this many matches is not selective. */
export const manyMatches = 2000

/** One way to walk the resources of a scope in rising sequence. */
export interface Walk {
  /** The next matches after a sequence; fewer than `count` means there are no more. */
  take(after: number, count: number): readonly number[]
}

/** One facet filter within one scope. */
export interface Criterion extends Walk {
  readonly wildcards: boolean
  /** How many match after this sequence, counted to `manyMatches` at most. */
  estimate(after: number): number
  /** Those of these sequences that match, in the same order. */
  keep(sequences: readonly number[]): readonly number[]
}

/** Statements behind the filters, prepared once. All are driven by the primary key of `facet` or of `resource`. */
export function criteria(db: DatabaseSync) {
  const all = numbers(db, "select sequence from resource where scope = ? and sequence > ? order by sequence limit ?")
  const ofTerm = numbers(
    db,
    "select sequence from facet where scope = ? and term = ? and sequence > ? order by sequence limit ?",
  )
  const countTerm = numbers(
    db,
    "select count(*) from (select 1 from facet where scope = ? and term = ? and sequence > ? limit ?)",
  )
  const keepTerms = numbers(
    db,
    `
    select j.value from json_each(?1) j where exists (
      select 1 from facet where scope = ?2 and term in (select value from json_each(?3)) and sequence = j.value)`,
  )
  const ofPattern = numbers(
    db,
    `
    select distinct sequence from facet
    where scope = ? and term >= ? and term < ? and term glob ? and sequence > ? order by sequence`,
  )
  const countPattern = numbers(
    db,
    "select count(*) from (select 1 from facet where scope = ? and term >= ? and term < ? limit ?)",
  )
  const keepPatterns = numbers(
    db,
    `
    select j.value from json_each(?1) j cross join resource r on r.sequence = j.value
    where exists (select 1 from json_each(r.facets) t, json_each(?2) p where t.value glob p.value)
    order by j.key`,
  )

  const exact = (scope: number, terms: readonly string[]): Criterion => {
    const list = JSON.stringify(terms)
    return {
      wildcards: false,
      take: (after, count) => merge(terms.map((each) => ofTerm(scope, each, after, count))).slice(0, count),
      estimate: (after) => countUp(terms, (each, room) => countTerm(scope, each, after, room)[0] ?? 0),
      keep: (sequences) => keepTerms(JSON.stringify(sequences), scope, list),
    }
  }

  const wild = (scope: number, { name, values }: FacetMatch): Criterion => {
    const patterns = values.map((value) => termPattern(name, value))
    const globs = JSON.stringify(patterns.map(({ glob }) => glob))
    let matches: readonly number[] | undefined
    return {
      wildcards: true,
      take: (after, count) => {
        // Terms stand in order of their value, not of sequence: all are read at once, on the first call.
        matches ??= merge(patterns.map((each) => ofPattern(scope, each.from, each.before, each.glob, after)))
        const start = matches.findIndex((sequence) => sequence > after)
        return start < 0 ? [] : matches.slice(start, start + count)
      },
      estimate: () => countUp(patterns, (each, room) => countPattern(scope, each.from, each.before, room)[0] ?? 0),
      keep: (sequences) => keepPatterns(JSON.stringify(sequences), globs),
    }
  }

  return {
    everything: (scope: number): Walk => ({ take: (after, count) => all(scope, after, count) }),
    criterion: (scope: number, match: FacetMatch): Criterion =>
      match.wildcards === true
        ? wild(scope, match)
        : exact(scope, [...new Set(match.values.map((value) => term(match.name, value)))]),
  }
}

/** Adds up counts until there are many. */
function countUp<T>(of: readonly T[], count: (each: T, room: number) => number): number {
  let sum = 0
  for (const each of of) {
    if (sum >= manyMatches) break
    sum += count(each, manyMatches - sum)
  }
  return sum
}

/** Rising numbers, each once. */
export function merge(lists: readonly (readonly number[])[]): readonly number[] {
  if (lists.length <= 1) return lists[0] ?? []
  return [...new Set(lists.flat())].toSorted((a, b) => a - b)
}
