import type { DatabaseSync } from "node:sqlite"
import { ClaimTakenError, type Claim } from "../types.ts"
import { rows } from "./statement.ts"
import type { WriteRequest } from "./request.ts"

/** Keys that are numbers as `String` writes them, within what an integer holds exactly. */
const decimal = /^(0|[1-9][0-9]{0,14})$/

/** What a commit writes besides resources: counters, claims, assignments and events. */
export function ledger(db: DatabaseSync) {
  const raiseOne = rows<{ value: number }>(db, "update counter set value = value + 1 where name = ? returning value")
  const readOne = rows<{ value: number }>(db, "select value from counter where name = ?")
  const release = db.prepare("delete from claim where scope = ? and key = ?")
  const holder = rows<{ owner: string }>(db, "select owner from claim where scope = ? and key = ?")
  const claim = db.prepare("insert into claim (scope, key, owner, number) values (?, ?, ?, ?)")
  const assign = db.prepare(
    "insert or replace into assignment (host, resource, kind, generation, spec) values (?, ?, ?, ?, ?)",
  )
  const unassign = db.prepare("delete from assignment where host = ? and resource = ?")
  const event = db.prepare("insert into event values (?, ?, ?, ?, ?, ?, ?)")

  const raise = (counter: "sequence" | "seq" | "generation"): number => valueOf(raiseOne.get(counter))

  return {
    raise,
    release: ({ scope, key }: Omit<Claim, "owner">): void => {
      release.run(scope, key)
    },
    /** Throws `ClaimTakenError` when another owner holds it. */
    claim: (wanted: Claim): void => {
      const { scope, key, owner } = wanted
      const held = holder.get(scope, key)
      if (held && held.owner !== owner) throw new ClaimTakenError({ scope, key, owner }, held.owner)
      if (!held) claim.run(scope, key, owner, decimal.test(key) ? Number(key) : null)
    },
    assign: ({ host, resource, kind, spec }: WriteRequest["assign"][number]): number => {
      const generation = raise("generation")
      assign.run(host, resource, kind, generation, spec)
      return generation
    },
    unassign: ({ host, resource }: WriteRequest["unassign"][number]): number => {
      unassign.run(host, resource)
      return raise("generation")
    },
    /** Writes events and gives the seq of the last one, or of the store. */
    record: (events: WriteRequest["event"], versions: Numbers, generations: Numbers): number => {
      for (const { atMs, kind, subject, account, region, detail, stamped } of events) {
        const text = stamped ? stamp(detail, versions.get(subject), generations.get(subject)) : detail
        event.run(raise("seq"), atMs, kind, subject, account, region, text)
      }
      return valueOf(readOne.get("seq"))
    },
  }
}

type Numbers = ReadonlyMap<string, number>

/** What JSON.stringify leaves out where there is none. */
function stamp(detail: string, version: number | undefined, generation: number | undefined): string {
  const value: object = JSON.parse(detail)
  return JSON.stringify({ ...value, version, generation })
}

function valueOf(row: { value: number } | undefined): number {
  if (!row) throw new Error("the store has lost a counter")
  return row.value
}
