import type { DatabaseSync } from "node:sqlite"
import { numbers, rows } from "../sqlite/statement.ts"
import type { HistoryEntry, HistoryPlace, PlacedEntry } from "./open.ts"

/** At most this many old entries go with each batch, so that a batch stays short. */
const trimRows = 5000

const layout = `
pragma journal_mode = wal;
pragma synchronous = normal;
pragma cache_size = -2048;
create table if not exists series (id integer primary key, name text not null unique) strict;
create table if not exists entry (id integer primary key, series integer not null, at_ms real not null, detail text not null) strict;
create index if not exists entry_by_time on entry (series, at_ms);
`

/** Makes the tables if they are not there, and gives what is done with them. */
export function historyTables(db: DatabaseSync) {
  db.exec(layout)
  const seriesOf = rows<{ id: number }>(db, "select id from series where name = ?")
  const addSeries = db.prepare("insert into series (name) values (?)")
  const insert = db.prepare("insert into entry (series, at_ms, detail) values (?, ?, ?)")
  const oldest = "select id from entry order by id limit"
  // Asked first: looking for old ones among thousands with every batch would cost more than writing it.
  const oldestMsOf = numbers(db, "select at_ms from entry order by id limit 1")
  const dropOld = db.prepare(`delete from entry where id in (${oldest} ${trimRows}) and at_ms < ?`)
  const dropOldest = db.prepare(`delete from entry where id in (${oldest} max(?, ${trimRows}))`)
  const range = rows<{ at_ms: number; detail: string }>(
    db,
    "select at_ms, detail from entry where series = ? and at_ms >= ? and at_ms < ? order by at_ms, id limit ?",
  )
  const back = rows<{ id: number; at_ms: number; detail: string }>(
    db,
    "select id, at_ms, detail from entry where series = ? and at_ms >= ? and at_ms < ? and (at_ms, id) < (?, ?) order by at_ms desc, id desc limit ?",
  )
  const pages = numbers(db, "select page_count - freelist_count from pragma_page_count, pragma_freelist_count")
  const pageSize = numbers(db, "pragma page_size")()[0] ?? 4096

  const idOf = (name: string): number => seriesOf.get(name)?.id ?? Number(addSeries.run(name).lastInsertRowid)

  return {
    /** Writes a batch, and drops what is older than `oldestMs` and what is over `maxBytes`. All or nothing. */
    write(batch: readonly { series: string; atMs: number; text: string }[], oldestMs: number, maxBytes: number): void {
      db.exec("begin immediate")
      try {
        for (const { series, atMs, text } of batch) insert.run(idOf(series), atMs, text)
        if ((oldestMsOf()[0] ?? oldestMs) < oldestMs) dropOld.run(oldestMs)
        if ((pages()[0] ?? 0) * pageSize > maxBytes) dropOldest.run(batch.length * 2)
        db.exec("commit")
      } catch (error) {
        if (db.isTransaction) db.exec("rollback")
        throw error
      }
    },
    read(series: string, fromMs: number, toMs: number, limit: number): readonly HistoryEntry[] {
      const id = seriesOf.get(series)?.id
      if (id === undefined) return []
      return range.all(id, fromMs, toMs, limit).map(({ at_ms: atMs, detail }) => ({ atMs, detail: JSON.parse(detail) }))
    },
    readBack(
      series: string,
      fromMs: number,
      toMs: number,
      limit: number,
      before: HistoryPlace = { atMs: Number.MAX_VALUE, id: 0 },
    ): readonly PlacedEntry[] {
      const of = seriesOf.get(series)?.id
      if (of === undefined) return []
      const found = back.all(of, fromMs, toMs, before.atMs, before.id, limit)
      return found.map(({ id, at_ms: atMs, detail }) => ({ id, atMs, detail: JSON.parse(detail) }))
    },
    clear(): void {
      db.exec("delete from entry")
    },
  }
}
