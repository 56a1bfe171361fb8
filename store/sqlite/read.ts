import type { DatabaseSync, SQLInputValue } from "node:sqlite"
import type { AssignmentRow, Claim, EventRow, Json, Reference, Role } from "../types.ts"

/** A statement whose rows are plain objects of the named columns. */
function rowsOf<Row>(db: DatabaseSync, sql: string): (...values: SQLInputValue[]) => Row[] {
  const statement = db.prepare(sql)
  return (...values) => statement.all(...values) as Row[]
}

const byEnd = (end: "from" | "to"): string => `
  select "from", "to", role from reference
  where "${end}" in (select value from json_each(?1)) and (?2 = '' or role = ?2)
  order by "${end}", "from", "to", role`

/** The first number of a range is free, or the first after a taken one whose next is free. */
const freeAfterTaken = `
  select c.number + 1 as free from claim c
  where c.scope = ?1 and c.number >= ?2 and c.number < ?3
    and not exists (select 1 from claim d where d.scope = ?1 and d.number = c.number + 1)
  order by c.number limit 1`

/** Reads of all that is not a resource. */
export function otherReads(db: DatabaseSync) {
  const refersFrom = rowsOf<Reference>(db, byEnd("from"))
  const refersTo = rowsOf<Reference>(db, byEnd("to"))
  const inScope = rowsOf<Claim>(db, "select scope, key, owner from claim where scope = ? order by key")
  const ofKeys = rowsOf<Claim>(
    db,
    "select scope, key, owner from claim where scope = ? and key in (select value from json_each(?)) order by key",
  )
  const taken = rowsOf<object>(db, "select 1 from claim where scope = ? and number = ?")
  const freeNext = rowsOf<{ free: number }>(db, freeAfterTaken)
  const ofHost = rowsOf<Omit<AssignmentRow, "spec"> & { spec: string }>(
    db,
    "select host, resource, kind, generation, spec from assignment where host = ? order by resource",
  )
  const since = rowsOf<Omit<EventRow, "detail"> & { detail: string }>(
    db,
    `select seq, at_ms as "atMs", kind, subject, account, region, detail from event where seq > ? order by seq limit ?`,
  )

  return {
    related: (ids: readonly string[], direction: "to" | "from", role?: Role): readonly Reference[] =>
      (direction === "to" ? refersTo : refersFrom)(JSON.stringify(ids), role ?? ""),
    claims: (scope: string, keys?: readonly string[]): readonly Claim[] =>
      keys ? ofKeys(scope, JSON.stringify(keys)) : inScope(scope),
    freeNumber: (scope: string, from: number, to: number): number | undefined => {
      if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) throw new TypeError("a range of whole numbers")
      if (from > to) return undefined
      return taken(scope, from).length === 0 ? from : freeNext(scope, from, to)[0]?.free
    },
    assignments: (host: string): readonly AssignmentRow[] =>
      ofHost(host).map((row) => Object.assign(row, { spec: JSON.parse(row.spec) as Json })),
    changes: (sinceSeq: number, limit: number): readonly EventRow[] =>
      since(sinceSeq, limit).map((row) => Object.assign(row, { detail: JSON.parse(row.detail) as Json })),
  }
}
