import { statfsSync } from "node:fs"
import { BlockedError, ClaimTakenError, ConflictError, StoreUnusableError, type Claim } from "../types.ts"

/** An error in a form that crosses between threads. */
export type Failure =
  | { readonly type: "conflict"; readonly id: string }
  | { readonly type: "claim"; readonly claim: Claim; readonly holder: string }
  | { readonly type: "blocked"; readonly id: string; readonly by: readonly string[] }
  | { readonly type: "unusable"; readonly reason: StoreUnusableError["reason"]; readonly message: string }
  | { readonly type: "invalid"; readonly message: string }

/** Below this many free bytes an input/output error is taken for a full disk. */
const nearlyFullBytes = 1024 * 1024

/** Primary result codes of SQLite: https://www.sqlite.org/rescode.html */
const busy = 5
const locked = 6
const readOnly = 8
const ioError = 10
const corrupt = 11
const full = 13
const cannotOpen = 14
const notADatabase = 26

/** Turns an error of SQLite about the file itself into `StoreUnusableError`; undefined for any other error. */
export function unusable(error: unknown, path: string): StoreUnusableError | undefined {
  if (error instanceof StoreUnusableError) return error
  const code = sqliteCode(error)
  const text = error instanceof Error ? error.message : String(error)
  if (code === corrupt || code === notADatabase) {
    return new StoreUnusableError("corrupt", `${path} is damaged (${text}); it was left as it is`)
  }
  if (code === busy || code === locked) return new StoreUnusableError("locked", `${path} is held by another process`)
  if (code === full) return new StoreUnusableError("full", `the disk of ${path} is full`)
  if (code === ioError && isNearlyFull(path)) return new StoreUnusableError("full", `the disk of ${path} is full`)
  if (code === ioError || code === cannotOpen || code === readOnly) {
    return new StoreUnusableError("io", `${path} cannot be read or written (${text})`)
  }
  return undefined
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined
  return error.errcode & 0xff
}

function isNearlyFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize < nearlyFullBytes
  } catch {
    return false
  }
}

/** Makes an error ready to cross to another thread. */
export function toFailure(error: unknown, path: string): Failure {
  if (error instanceof ConflictError) return { type: "conflict", id: error.id }
  if (error instanceof ClaimTakenError) return { type: "claim", claim: error.claim, holder: error.holder }
  if (error instanceof BlockedError) return { type: "blocked", id: error.id, by: error.by }
  const bad = unusable(error, path)
  if (bad) return { type: "unusable", reason: bad.reason, message: bad.message }
  return { type: "invalid", message: error instanceof Error ? error.message : String(error) }
}

/** The error that `toFailure` took apart. */
export function fromFailure(failure: Failure): Error {
  switch (failure.type) {
    case "conflict":
      return new ConflictError(failure.id)
    case "claim":
      return new ClaimTakenError(failure.claim, failure.holder)
    case "blocked":
      return new BlockedError(failure.id, failure.by)
    case "unusable":
      return new StoreUnusableError(failure.reason, failure.message)
    default:
      return new TypeError(failure.message)
  }
}
