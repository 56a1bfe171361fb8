import type { DatabaseSync } from "node:sqlite"
import { ConflictError } from "../types.ts"
import { deleter } from "./delete.ts"
import { ledger } from "./ledger.ts"
import { termList } from "./term.ts"
import { rows as statement } from "./statement.ts"
import type { Applied, PutRow, WriteRequest } from "./request.ts"

interface HeldRow {
  readonly sequence: number
  readonly scope: number
  readonly version: number
  readonly facets: string
}

/**
 * Applies one commit on an open connection; the caller brackets it in a savepoint. In this order: expect, release, unlink,
 * delete, put, link, claim, assign, unassign, event. Throws `ConflictError`, `ClaimTakenError`, `BlockedError`, or what
 * SQLite throws.
 */
export function applier(db: DatabaseSync): (commit: WriteRequest) => Applied {
  const rows = resourceRows(db)
  const { raise, release, claim, assign, unassign, record } = ledger(db)
  const remove = deleter(db)
  const unlink = db.prepare(`delete from reference where "from" = ? and "to" = ? and role = ?`)
  const link = db.prepare(`insert into reference ("from", "to", role) values (?, ?, ?) on conflict do nothing`)

  return (commit) => {
    for (const [id, version] of commit.expect) {
      if (rows.version(id) !== version) throw new ConflictError(id)
    }
    for (const each of commit.release) release(each)
    for (const { from, to, role } of commit.unlink) unlink.run(from, to, role)
    if (commit.delete.length > 0) remove(commit.delete)
    const versions = new Map<string, number>()
    for (const each of commit.put) versions.set(each.id, rows.put(each, raise))
    for (const { from, to, role } of commit.link) {
      // Whoever read both ends has lost a race against a delete: a reference that dangled would block or own for ever.
      if (role !== "mentions" && rows.version(from) === 0) throw new ConflictError(from)
      if (role !== "mentions" && rows.version(to) === 0) throw new ConflictError(to)
      link.run(from, to, role)
    }
    for (const each of commit.claim) claim(each)
    const generations = new Map<string, number>()
    for (const each of commit.assign) generations.set(each.resource, assign(each))
    for (const each of commit.unassign) generations.set(each.resource, unassign(each))
    const seq = record(commit.event, versions, generations)
    return { versions: [...versions], seq, generations: [...generations] }
  }
}

function resourceRows(db: DatabaseSync) {
  const versionOf = statement<{ version: number }>(db, "select version from resource where id = ?")
  const held = statement<HeldRow>(db, "select sequence, scope, version, facets from resource where id = ?")
  const scopeOf = statement<{ id: number }>(db, "select id from scope where kind = ? and account = ? and region = ?")
  const addScope = db.prepare("insert into scope (kind, account, region) values (?, ?, ?)")
  const insert = db.prepare("insert into resource values (?, ?, ?, 1, ?, ?, ?)")
  const update = db.prepare("update resource set version = ?, schema = ?, record = ? where sequence = ?")
  const updateFacets = db.prepare("update resource set facets = ? where sequence = ?")
  const addFacet = db.prepare("insert into facet values (?, ?, ?)")
  const dropFacet = db.prepare("delete from facet where scope = ? and term = ? and sequence = ?")

  const scope = ({ kind, account, region }: PutRow): number => {
    const row = scopeOf.get(kind, account, region)
    return row?.id ?? Number(addScope.run(kind, account, region).lastInsertRowid)
  }

  const create = (row: PutRow, sequence: number): number => {
    const at = scope(row)
    insert.run(sequence, at, row.id, row.schema, JSON.stringify(row.terms), row.record)
    for (const each of row.terms) addFacet.run(at, each, sequence)
    return 1
  }

  const replace = (row: PutRow, old: HeldRow): number => {
    if (scope(row) !== old.scope) throw new TypeError(`the kind, account or region of ${row.id} would change`)
    const version = old.version + 1
    update.run(version, row.schema, row.record, old.sequence)
    const facets = JSON.stringify(row.terms)
    if (facets === old.facets) return version
    updateFacets.run(facets, old.sequence)
    const before = new Set(termList(old.facets))
    for (const each of row.terms) {
      if (!before.delete(each)) addFacet.run(old.scope, each, old.sequence)
    }
    for (const each of before) dropFacet.run(old.scope, each, old.sequence)
    return version
  }

  return {
    /** 0 when there is no such id. */
    version: (id: string): number => versionOf.get(id)?.version ?? 0,
    put: (row: PutRow, raise: (counter: "sequence") => number): number => {
      const old = held.get(row.id)
      return old ? replace(row, old) : create(row, raise("sequence"))
    },
  }
}
