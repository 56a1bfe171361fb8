import type { DatabaseSync } from "node:sqlite"
import { StoreUnusableError, type Store, type Upgrades } from "../types.ts"
import { unusable } from "./failure.ts"
import { openFile } from "./file.ts"
import { queryReads } from "./query.ts"
import { writeQueue } from "./queue.ts"
import { otherReads } from "./read.ts"
import { writeRequest } from "./request.ts"
import { resourceReads } from "./resources.ts"

export interface SqliteStoreOptions {
  /** Folder of the store's files, made if it is not there; one process may hold it at a time. */
  readonly directory: string
  readonly upgrades?: Upgrades
  /** How many of the newest events `changes` can still give; older ones are dropped. Default 1,000,000. */
  readonly keepEvents?: number
  /** Pages of 4 KiB the file may grow to, to test a full disk. */
  readonly maxPages?: number
}

/**
 * A store in one SQLite file (WAL, full sync). Reads run on the calling thread, commits in groups on a writer thread.
 * Throws `StoreUnusableError`: "locked" when another process holds the directory, "newer", "corrupt", "io".
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { directory, upgrades = {}, keepEvents = 1_000_000, maxPages = 0 } = options
  const { path, reader, unlock } = openFile(directory)
  try {
    return sqliteStore(reader, writeQueue({ path, keepEvents, maxPages }), upgrades, path, unlock)
  } catch (error) {
    reader.close()
    unlock()
    throw error
  }
}

function sqliteStore(
  reader: DatabaseSync,
  queue: ReturnType<typeof writeQueue>,
  upgrades: Upgrades,
  path: string,
  unlock: () => void,
): Store {
  const { getMany, bySequences } = resourceReads(reader, upgrades)
  const query = queryReads(reader, bySequences)
  const other = otherReads(reader)
  let closed: Promise<void> | undefined
  // The lock keeps other processes away: every change passes here.
  let revision = 0
  let writing = 0
  const changing = async <Result>(change: () => Promise<Result>): Promise<Result> => {
    writing += 1
    try {
      return await change()
    } finally {
      writing -= 1
      revision += 1
    }
  }

  /** Makes a read asynchronous, with errors of the file as the contract names them. */
  const reading =
    <Args extends readonly unknown[], Result>(read: (...args: Args) => Result) =>
    async (...args: Args): Promise<Result> => {
      if (closed) throw new StoreUnusableError("io", "the store is closed")
      try {
        return read(...args)
      } catch (error) {
        throw unusable(error, path) ?? error
      }
    }

  const shut = async (): Promise<void> => {
    try {
      // The reader first: the last connection to close folds the log into the file.
      reader.close()
      await queue.close()
    } finally {
      unlock()
    }
  }

  return {
    getMany: reading(getMany),
    query: reading(query),
    related: reading(other.related),
    claims: reading(other.claims),
    countClaims: reading(other.countClaims),
    freeNumber: reading(other.freeNumber),
    assignments: reading(other.assignments),
    changes: reading(other.changes),
    eventsOf: reading(other.eventsOf),
    revision: () => (writing > 0 ? undefined : revision),
    commit: (commit) => changing(async () => queue.commit(writeRequest(commit))),
    reset: () => changing(() => queue.reset()),
    close: () => (closed ??= shut()),
  }
}
