/** What the daemon leaves in its home for the CLI: that it serves, why it could not, and the first account's keys. */
import { chmodSync, chownSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { randomBytes } from "node:crypto"
import { newKeys } from "#cloud/identity/accounts.ts"
import { StoreUnusableError } from "#store/types.ts"
import { homeFiles } from "./config.ts"

export interface DaemonRecord {
  readonly pid: number
  /** Clock ticks after boot, field 22 of /proc/PID/stat: a pid alone is reused. */
  readonly startTime: number
  readonly endpoint: string
  readonly engine: string
  readonly accelerator: string
}

export interface Credentials {
  readonly account: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Lets the CLI do what is no API call: accounts, shutdown. */
  readonly controlToken: string
}

/** Written whole or not at all. */
export function writeWhole(path: string, value: object, mode = 0o644): void {
  const next = `${path}.${process.pid}.new`
  writeFileSync(next, `${JSON.stringify(value)}\n`, { mode })
  chmodSync(next, mode)
  renameSync(next, path)
}

export function startTimeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19])
}

export function readCredentials(home: string): Credentials | undefined {
  try {
    return JSON.parse(readFileSync(homeFiles(home).credentials, "utf8")) as Credentials
  } catch {
    return undefined
  }
}

/** The keys of the first account, made when the home has none. `owner` may read them beside root. */
export function ensureCredentials(
  home: string,
  account: string,
  region: string,
  owner?: { readonly uid: number; readonly gid: number },
): Credentials {
  const { credentials: path } = homeFiles(home)
  const known = readCredentials(home)
  const credentials = known ?? { account, region, ...newKeys(), controlToken: newToken() }
  if (known === undefined) writeWhole(path, credentials, 0o600)
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  return credentials
}

function newToken(): string {
  return randomBytes(24).toString("base64url")
}

export class StartError extends Error {
  readonly code: "port" | "home" | "addresses" | "privilege" | "store" | "internal"
  readonly mend: string
  constructor(code: StartError["code"], message: string, mend: string) {
    super(message)
    this.code = code
    this.mend = mend
  }
}

export interface Failure {
  readonly code: StartError["code"]
  readonly message: string
  readonly mend: string
}

/** Runs a process's start; what stops it is left in the file `failure`, and the process ends with 1. */
export async function startOrExplain(failure: string, start: () => Promise<void>): Promise<void> {
  rmSync(failure, { force: true })
  try {
    await start()
  } catch (error) {
    const { code, message, mend } = explain(error)
    console.error(error)
    try {
      writeWhole(failure, { code, message, mend })
    } catch (second) {
      console.error(second)
    }
    process.exit(1)
  }
}

function explain(error: unknown): Failure {
  if (error instanceof StartError) return { code: error.code, message: error.message, mend: error.mend }
  if (error instanceof StoreUnusableError)
    return {
      code: error.reason === "locked" ? "home" : "store",
      message: error.message,
      mend: error.reason === "locked" ? "./fractus status" : "./fractus doctor",
    }
  const code = error instanceof Error && "code" in error ? error.code : undefined
  if (code === "EADDRINUSE") return { code: "port", message: "the port is taken", mend: "./fractus up --port N" }
  return { code: "internal", message: error instanceof Error ? error.message : String(error), mend: "./fractus logs" }
}
