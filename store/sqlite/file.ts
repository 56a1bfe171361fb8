import { spawnSync } from "node:child_process"
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { migrations } from "../migrations/all.ts"
import { StoreUnusableError } from "../types.ts"
import { unusable } from "./failure.ts"
import { numbers } from "./statement.ts"

/** Marks our files in their header: "Frct". https://www.sqlite.org/pragma.html#pragma_application_id */
const applicationId = 0x46726374
/** Files up to this size are checked whole at every open; it takes a few milliseconds. */
const checkUpToBytes = 4 * 1024 * 1024
/** The log has this much of the disk for itself: on a full one it takes the few hundred commits more that make room. */
const reservedLogBytes = 8 * 1024 * 1024

export interface OpenFile {
  readonly path: string
  /** A read-only connection that sees each commit as soon as it is durable. */
  readonly reader: DatabaseSync
  /** Gives the home free for another process; a killed process does so by itself. */
  readonly unlock: () => void
}

/**
 * Locks the directory, checks `store.sqlite` in it, makes it when there is none and brings it to the newest migration.
 * Throws `StoreUnusableError`; a file that is damaged or of a newer release is not written to.
 */
export function openFile(directory: string): OpenFile {
  const path = join(directory, "store.sqlite")
  const unlock = lock(directory)
  let reader: DatabaseSync | undefined
  try {
    if (!existsSync(path)) create(directory, path)
    reader = openReader(path)
    const version = check(reader, path)
    if (version < migrations.length) upgrade(path)
    reserve(`${path}-wal`)
    return { path, reader, unlock }
  } catch (error) {
    reader?.close()
    unlock()
    throw unusable(error, path) ?? error
  }
}

/** An exclusive transaction on an empty database of its own: SQLite's lock ends with the process, however that ends. */
function lock(directory: string): () => void {
  const path = join(directory, "store.lock")
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    makePrivate(path)
    const db = new DatabaseSync(path, { timeout: 0 })
    try {
      // Without the journal in memory SQLite leaves a second file beside it.
      db.exec("pragma journal_mode = memory; begin exclusive")
    } catch (error) {
      db.close()
      throw error
    }
    return () => db.close()
  } catch (error) {
    throw unusable(error, directory) ?? new StoreUnusableError("io", `${path} cannot be made (${String(error)})`)
  }
}

/** SQLite makes files that all may read; the store holds keys. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600))
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
  }
}

/** Made under another name and then renamed, so that a store without tables is never a half made one but a damaged one. */
function create(directory: string, path: string): void {
  if (existsSync(`${path}-wal`)) {
    throw new StoreUnusableError(
      "corrupt",
      `${path} is missing, but its log ${path}-wal is there; all was left as it is`,
    )
  }
  const fresh = `${path}.new`
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(fresh + suffix, { force: true })
  makePrivate(fresh)
  upgrade(fresh)
  renameSync(fresh, path)
  const handle = openSync(directory, "r")
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/**
 * Lengthens SQLite's log with room that is its own: it takes zeros for no frames and writes over them. By the command, as Node has no
 * fallocate; writing eight megabytes instead would keep the first commit waiting for them. Where that fails the log stays as it was,
 * and on a file system that copies on write (btrfs, ZFS) it promises nothing.
 */
function reserve(log: string): void {
  const handle = openSync(log, "a", 0o600)
  try {
    const { size } = fstatSync(handle)
    if (size >= reservedLogBytes) return
    const { status } = spawnSync("fallocate", ["--length", String(reservedLogBytes), log], { stdio: "ignore" })
    if (status !== 0) ftruncateSync(handle, size)
  } finally {
    closeSync(handle)
  }
}

function openReader(path: string): DatabaseSync {
  if (statSync(path).size === 0) throw new StoreUnusableError("corrupt", `${path} is empty; it was left as it is`)
  const reader = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  reader.exec("pragma cache_size = -8192")
  return reader
}

/** Gives the number of migrations the file has. */
function check(reader: DatabaseSync, path: string): number {
  const number = (name: string): number => numbers(reader, `pragma ${name}`)()[0] ?? 0
  if (number("application_id") !== applicationId) {
    throw new StoreUnusableError("corrupt", `${path} is not a store of Fractus; it was left as it is`)
  }
  const version = number("user_version")
  if (version > migrations.length) {
    throw new StoreUnusableError(
      "newer",
      `${path} was written by a newer release (format ${version}, this one knows ${migrations.length}); it was left as it is`,
    )
  }
  if (number("page_count") * number("page_size") <= checkUpToBytes) {
    const [result] = Object.values(reader.prepare("pragma quick_check(1)").get() ?? {})
    if (result !== "ok") throw damaged(path, String(result))
  }
  return version
}

function damaged(path: string, how: string): StoreUnusableError {
  return new StoreUnusableError("corrupt", `${path} is damaged (${how}); it was left as it is`)
}

/** Runs the missing migrations in one transaction. */
function upgrade(path: string): void {
  const db = new DatabaseSync(path, { timeout: 5000 })
  try {
    db.exec("pragma journal_mode = wal; pragma synchronous = full; begin immediate")
    const [done] = numbers(db, "pragma user_version")()
    for (const sql of migrations.slice(done)) db.exec(sql)
    db.exec(`pragma application_id = ${applicationId}; pragma user_version = ${migrations.length}; commit`)
  } finally {
    db.close()
  }
}
