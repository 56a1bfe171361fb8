import type { DatabaseSync } from "node:sqlite"
import type { AssignmentRow, Claim, EventRow, Json, Reference, Role } from "../types.ts"
import { numbers, rows } from "./statement.ts"

const byEnd = (end: "from" | "to"): string => `
  select "from", "to", role from reference
  where "${end}" in (select value from json_each(?1)) and (?2 = '' or role = ?2)
  order by "${end}", "from", "to", role`

/** Reads of all that is not a resource. */
export function otherReads(db: DatabaseSync) {
  const refersFrom = rows<Reference>(db, byEnd("from"))
  const refersTo = rows<Reference>(db, byEnd("to"))
  const inScope = rows<Claim>(db, "select scope, key, owner from claim where scope = ? order by key")
  const ofKeys = rows<Claim>(
    db,
    "select scope, key, owner from claim where scope = ? and key in (select value from json_each(?)) order by key",
  )
  const counts = rows<{ scope: string; count: number }>(
    db,
    "select scope, count(*) as count from claim where scope in (select value from json_each(?)) group by scope",
  )
  const countTaken = numbers(db, "select count(*) from claim where scope = ? and number between ? and ?")
  const ofHost = rows<Omit<AssignmentRow, "spec"> & { spec: string }>(
    db,
    "select host, resource, kind, generation, spec from assignment where host = ? order by resource",
  )
  const since = rows<Omit<EventRow, "detail"> & { detail: string }>(
    db,
    `select seq, at_ms as "atMs", kind, subject, account, region, detail from event where seq > ? order by seq limit ?`,
  )
  const ofSubject = rows<Omit<EventRow, "detail"> & { detail: string }>(
    db,
    `select seq, at_ms as "atMs", kind, subject, account, region, detail from event
     where seq > (select max(seq) from event) - 100000 and subject = ? order by seq desc limit ?`,
  )

  return {
    related: (ids: readonly string[], direction: "to" | "from", role?: Role): readonly Reference[] =>
      (direction === "to" ? refersTo : refersFrom).all(JSON.stringify(ids), role ?? "").map(plain),
    claims: (scope: string, keys?: readonly string[]): readonly Claim[] =>
      (keys ? ofKeys.all(scope, JSON.stringify(keys)) : inScope.all(scope)).map(plain),
    countClaims: (scopes: readonly string[]): ReadonlyMap<string, number> =>
      new Map(counts.all(JSON.stringify(scopes)).map(({ scope, count }) => [scope, count])),
    freeNumber: (scope: string, from: number, to: number): number | undefined => {
      if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) throw new TypeError("a range of whole numbers")
      return firstFree(from, to, (low, high) => countTaken(scope, low, high)[0] === high - low + 1)
    },
    assignments: (host: string): readonly AssignmentRow[] =>
      ofHost.all(host).map(({ spec, ...row }) => Object.assign(row, { spec: json(spec) })),
    changes: (sinceSeq: number, limit: number): readonly EventRow[] =>
      since.all(sinceSeq, limit).map(({ detail, ...row }) => Object.assign(row, { detail: json(detail) })),
    eventsOf: (subject: string, limit: number): readonly EventRow[] =>
      ofSubject
        .all(subject, limit)
        .toReversed()
        .map(({ detail, ...row }) => Object.assign(row, { detail: json(detail) })),
  }
}

function json(text: string): Json {
  return JSON.parse(text)
}

/** Rows of SQLite have no prototype, which strict comparisons tell apart. */
function plain<Row extends object>(row: Row): Row {
  return { ...row }
}

/** Gallops over ranges that are wholly taken, then halves the first one that is not. */
function firstFree(from: number, to: number, isTaken: (low: number, high: number) => boolean): number | undefined {
  let low = from
  for (let size = 1; low <= to; size *= 2) {
    let high = Math.min(low + size - 1, to)
    if (isTaken(low, high)) {
      low = high + 1
      continue
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (isTaken(low, middle)) low = middle + 1
      else high = middle
    }
    return low
  }
  return undefined
}
