import type { DatabaseSync } from "node:sqlite"
import { BlockedError } from "../types.ts"
import { termList } from "./term.ts"
import { rows } from "./statement.ts"

interface Doomed {
  readonly sequence: number
  readonly scope: number
  readonly facets: string
}

/**
 * Deletes resources with all that they own, their facets, claims and references. What others mention of them is kept.
 * An id that is not there is passed over. Throws `BlockedError` while something that stays refers to one with `blocks`.
 */
export function deleter(db: DatabaseSync): (ids: readonly string[]) => void {
  const exists = rows<Doomed>(db, "select sequence, scope, facets from resource where id = ?")
  const ownedBy = rows<{ id: string }>(db, `select "from" as id from reference where "to" = ? and role = 'owned'`)
  const blockers = rows<{ id: string }>(
    db,
    `select "from" as id from reference where "to" = ? and role = 'blocks' order by "from"`,
  )
  const dropFacet = db.prepare("delete from facet where scope = ? and term = ? and sequence = ?")
  const dropClaims = db.prepare("delete from claim where owner = ?")
  const dropFrom = db.prepare(`delete from reference where "from" = ?`)
  const dropTo = db.prepare(`delete from reference where "to" = ? and role in ('blocks', 'owned')`)
  const drop = db.prepare("delete from resource where sequence = ?")

  const closure = (ids: readonly string[]): Map<string, Doomed> => {
    const doomed = new Map<string, Doomed>()
    const open = [...ids]
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const row = doomed.has(id) ? undefined : exists.get(id)
      if (!row) continue
      doomed.set(id, row)
      for (const owned of ownedBy.all(id)) open.push(owned.id)
    }
    return doomed
  }

  return (ids) => {
    const doomed = closure(ids)
    for (const id of doomed.keys()) {
      const by = blockers
        .all(id)
        .map((row) => row.id)
        .filter((from) => !doomed.has(from))
      if (by.length > 0) throw new BlockedError(id, by)
    }
    for (const [id, { sequence, scope, facets }] of doomed) {
      for (const each of termList(facets)) dropFacet.run(scope, each, sequence)
      dropClaims.run(id)
      dropFrom.run(id)
      dropTo.run(id)
      drop.run(sequence)
    }
  }
}
