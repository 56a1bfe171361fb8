import type { DatabaseSync } from "node:sqlite"
import type { Json, Stored, Upgrades } from "../types.ts"
import { rows, tuples } from "./statement.ts"

type Row = [sequence: number, scope: number, id: string, version: number, schema: number, record: string]
interface Scope {
  readonly kind: string
  readonly account: string
  readonly region: string
}

const columns = "r.sequence, r.scope, r.id, r.version, r.schema, r.record"

/** Reads whole resources, upgrading records of an older schema. */
export function resourceReads(db: DatabaseSync, upgrades: Upgrades) {
  const byId = tuples<Row>(db, `select ${columns} from json_each(?) j join resource r on r.id = j.value`)
  const bySequence = tuples<Row>(
    db,
    `select ${columns} from json_each(?) j join resource r on r.sequence = j.value order by j.key`,
  )
  const scopeRow = rows<Scope>(db, "select kind, account, region from scope where id = ?")
  // A scope never changes and is never removed.
  const scopes = new Map<number, Scope>()

  const scopeOf = (id: number): Scope => {
    const known = scopes.get(id) ?? scopeRow.get(id)
    if (!known) throw new Error(`the store has lost scope ${id}`)
    scopes.set(id, known)
    return known
  }

  const stored = ([sequence, scope, id, version, oldSchema, text]: Row): Stored => {
    const { kind, account, region } = scopeOf(scope)
    const upgrade = upgrades[kind]
    const old: Json = JSON.parse(text)
    const { record, schema } = upgrade ? upgrade(old, oldSchema) : { record: old, schema: oldSchema }
    return { id, kind, account, region, version, sequence, schema, record }
  }

  return {
    getMany: (ids: readonly string[]): ReadonlyMap<string, Stored> => {
      const found = new Map<string, Stored>()
      for (const row of byId.all(JSON.stringify(ids))) found.set(row[2], stored(row))
      return found
    },
    bySequences: (sequences: readonly number[]): readonly Stored[] =>
      bySequence.all(JSON.stringify(sequences)).map(stored),
  }
}
