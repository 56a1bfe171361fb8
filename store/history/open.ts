import { closeSync, openSync, renameSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Clock } from "#lib/clock.ts"
import { unusable } from "../sqlite/failure.ts"
import type { Json } from "../types.ts"
import { historyTables } from "./tables.ts"

export interface HistoryEntry {
  readonly atMs: number
  readonly detail: Json
}

/** Where an entry stands: entries of one time stand in the order in which they came. */
export interface HistoryPlace {
  readonly atMs: number
  readonly id: number
}
export interface PlacedEntry extends HistoryEntry, HistoryPlace {}

export interface HistoryOptions {
  /** Folder of `history.sqlite`. The caller holds the folder, as one that has opened its store does. */
  readonly directory: string
  readonly clock: Pick<Clock, "cloudMs">
  /** Older entries are dropped. Default 15 days of cloud time. */
  readonly maxAgeMs?: number
  /** The oldest entries are dropped when the file holds more. Default 256 MiB. */
  readonly maxBytes?: number
  /** Entries that may wait to be written; more are dropped. Default 20,000. */
  readonly maxWaiting?: number
}

/** What may be lost by a second: metrics, the log of reads. */
export interface History {
  /** Takes an entry; it is on file within half a second. Throws `TypeError` if it is not JSON, or longer than 64 K. */
  append(series: string, atMs: number, detail: Json): void
  /** Entries of a series with `fromMs` <= time < `toMs`, in order of time, at most `limit`. Sees all that was appended. */
  read(series: string, fromMs: number, toMs: number, limit: number): Promise<readonly HistoryEntry[]>
  /** The same backwards, newest first; `before`: only what comes after that entry in this order, for the next page. */
  readBack(
    series: string,
    fromMs: number,
    toMs: number,
    limit: number,
    before?: HistoryPlace,
  ): Promise<readonly PlacedEntry[]>
  /** Forgets everything. */
  reset(): Promise<void>
  /** Entries that were dropped because too many waited or the disk was full. */
  dropped(): number
  close(): Promise<void>
}

const batchMs = 500
const maxDetailChars = 65_536
const maxSeriesChars = 512
const dayMs = 86_400_000

/** Opens the history, a second file beside the store. A damaged one is set aside, under the name of the day, and begun anew. */
export async function openHistory(options: HistoryOptions): Promise<History> {
  const { directory, clock, maxAgeMs = 15 * dayMs, maxBytes = 256 * 1024 * 1024, maxWaiting = 20_000 } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, "history.sqlite")
  const { db, tables } = openOrSetAside(path, clock)
  let waiting: { series: string; atMs: number; text: string }[] = []
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    const batch = waiting
    waiting = []
    try {
      tables.write(batch, clock.cloudMs() - maxAgeMs, maxBytes)
    } catch {
      // It may be lost, and there is nobody to tell but the counter.
      dropped += batch.length
    }
  }

  return {
    append(series, atMs, detail) {
      if (closed) throw new TypeError("the history is closed")
      const text = JSON.stringify(detail) as string | undefined
      if (text === undefined || text.length > maxDetailChars) throw new TypeError("an entry is JSON of at most 64 K")
      if (!Number.isFinite(atMs) || series.length > maxSeriesChars) throw new TypeError("a time, and a short series")
      if (waiting.length >= maxWaiting) {
        dropped += 1
        return
      }
      waiting.push({ series, atMs, text })
      timer ??= setTimeout(flush, batchMs).unref()
    },
    async read(series, fromMs, toMs, limit) {
      if (waiting.length > 0) flush()
      return tables.read(series, fromMs, toMs, limit)
    },
    async readBack(series, fromMs, toMs, limit, before) {
      if (waiting.length > 0) flush()
      return tables.readBack(series, fromMs, toMs, limit, before)
    },
    async reset() {
      waiting = []
      tables.clear()
    },
    dropped: () => dropped,
    async close() {
      if (closed) return
      flush()
      closed = true
      db.close()
    },
  }
}

function openOrSetAside(path: string, clock: Pick<Clock, "cloudMs">) {
  try {
    return open(path)
  } catch (error) {
    if (unusable(error, path)?.reason !== "corrupt") throw unusable(error, path) ?? error
    renameSync(path, `${path}.damaged-${new Date(clock.cloudMs()).toISOString().slice(0, 10)}`)
    return open(path)
  }
}

function open(path: string) {
  closeSync(openSync(path, "a", 0o600))
  const db = new DatabaseSync(path, { timeout: 5000 })
  try {
    return { db, tables: historyTables(db) }
  } catch (error) {
    db.close()
    throw error
  }
}
