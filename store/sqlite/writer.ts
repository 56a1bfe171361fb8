/** The writer thread: the only connection that changes the store. Each message is one durable transaction. */
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import { toFailure } from "./failure.ts"
import { groupWriter } from "./group.ts"
import type { WriterAnswer, WriterMessage } from "./request.ts"

/** What `writeQueue` hands to the thread. */
export interface WriterData {
  readonly path: string
  readonly keepEvents: number
  /** Pages the file may grow to; 0 is no limit. For tests of a full disk. */
  readonly maxPages: number
}

const data: WriterData = workerData
const { path, keepEvents, maxPages } = data
const port = parentPort
if (!port) throw new Error("store/sqlite/writer.ts runs as a worker thread")

const db = new DatabaseSync(path, { timeout: 5000 })
db.exec("pragma synchronous = full; pragma cache_size = -4096; pragma journal_size_limit = 16777216")
if (maxPages > 0) db.exec(`pragma max_page_count = ${maxPages}`)
const group = groupWriter(db, path, keepEvents)

port.on("message", (message: WriterMessage) => {
  port.postMessage(answer(message))
  if (message.type === "close") port.close()
})

function answer(message: WriterMessage): WriterAnswer {
  if (message.type === "group") return { outcomes: group.run(message.commits) }
  if (message.type === "reset") return { outcomes: group.reset() }
  try {
    db.close()
    return { outcomes: [] }
  } catch (error) {
    return { outcomes: [{ failure: toFailure(error, path) }] }
  }
}
