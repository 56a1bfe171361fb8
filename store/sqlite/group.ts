import type { DatabaseSync } from "node:sqlite"
import { applier } from "./apply.ts"
import { toFailure, unusable } from "./failure.ts"
import type { WriteOutcome, WriteRequest } from "./request.ts"

/** A change feed keeps this many events at least; older ones are dropped in steps. */
const trimEvery = 1000

const resettable = ["resource", "facet", "reference", "claim", "assignment", "event"]

/**
 * Writes groups of commits, each group in one durable transaction, each commit in its own savepoint.
 * `run` never throws: what hits the whole file (full, damaged) is the outcome of every commit in the group.
 */
export function groupWriter(db: DatabaseSync, path: string, keepEvents: number) {
  const apply = applier(db)
  const begin = db.prepare("begin immediate")
  const savepoint = db.prepare("savepoint one")
  const releaseOne = db.prepare("release one")
  const undoOne = db.prepare("rollback to one")
  const commit = db.prepare("commit")
  const trim = db.prepare("delete from event where seq <= (select value from counter where name = 'seq') - ?")
  let untrimmed = 0

  const one = (request: WriteRequest): WriteOutcome => {
    savepoint.run()
    try {
      const outcome = apply(request)
      releaseOne.run()
      return outcome
    } catch (error) {
      // A full disk or a damaged file ends the transaction for all; anything else concerns this commit alone.
      if (unusable(error, path) || !db.isTransaction) throw error
      undoOne.run()
      releaseOne.run()
      return { failure: toFailure(error, path) }
    }
  }

  const transaction = <T>(work: () => T): T => {
    begin.run()
    try {
      const result = work()
      commit.run()
      return result
    } catch (error) {
      if (db.isTransaction) db.exec("rollback")
      throw error
    }
  }

  const attempt = (requests: readonly WriteRequest[]): WriteOutcome[] =>
    transaction(() => {
      const outcomes = requests.map(one)
      untrimmed += requests.reduce((sum, request) => sum + request.event.length, 0)
      if (untrimmed >= trimEvery) {
        trim.run(keepEvents)
        untrimmed = 0
      }
      return outcomes
    })

  const run = (requests: readonly WriteRequest[]): WriteOutcome[] => {
    try {
      return attempt(requests)
    } catch (error) {
      const failure = toFailure(error, path)
      // One large commit that does not fit must not fail the small ones beside it.
      const alone = requests.length > 1 && failure.type === "unusable" && failure.reason === "full"
      return alone ? requests.flatMap((request) => run([request])) : requests.map(() => ({ failure }))
    }
  }

  const reset = (): WriteOutcome[] => {
    try {
      transaction(() => {
        for (const table of resettable) db.exec(`delete from ${table}`)
      })
      return []
    } catch (error) {
      return [{ failure: toFailure(error, path) }]
    }
  }

  return { run, reset }
}
