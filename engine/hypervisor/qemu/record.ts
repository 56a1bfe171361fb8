/**
 * What is written down about a machine, in a directory that only root can write: `machine.json`. It is there before the
 * process is, so whatever moment we are killed at, a later engine finds the process by the record's nonce.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import path from "node:path"
import type { MachineState } from "../types.ts"
import type { ProcessIdentity } from "./process.ts"

export interface MachineRecord {
  readonly schema: 1
  readonly id: string
  /** Stands in QEMU's arguments. New with every start. */
  readonly nonce: string
  /** The boot of the host it was started in. */
  readonly bootId: string
  readonly machineVersion: string
  readonly argv: readonly string[]
  /**
   * Of a clone. "nameless": it has not been told who it is; who reads this ends it, since what it was to be told is not written down.
   * "named": it is somebody, and may not have heard yet that it can go on; who reads this says so once more.
   */
  readonly clone?: "nameless" | "named" | "told"
  /**
   * Of one that goes on from hibernation. "loading": it has not all its memory yet; who reads this ends it. "loaded": it waits for its
   * next instruction. "in-use": it was let run.
   */
  readonly memory?: "loading" | "loaded" | "in-use"
  /** Of one that was taken from the pool of clones: the name of its control group, and what its process had computed before. */
  readonly cgroup?: string
  readonly idleMs?: number
  /** Missing while the process is being started. */
  readonly process?: ProcessIdentity
  /** We pressed the power button since the last start or reset. */
  readonly shutdownRequested?: boolean
  /** How it ended, once that is known. The process may still be there, and is ended by who reads this. */
  readonly ending?: NonNullable<MachineState["cause"]>
}

const file = (directory: string) => path.join(directory, "machine.json")

/** The record, or undefined when there is none or it cannot be read. */
export function readRecord(directory: string): MachineRecord | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(file(directory), "utf8"))
    return isRecord(record) ? record : undefined
  } catch {
    return undefined
  }
}

export function writeRecord(directory: string, record: MachineRecord): void {
  const fresh = `${file(directory)}.new`
  const fd = openSync(fresh, "w", 0o600)
  try {
    writeSync(fd, JSON.stringify(record))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(fresh, file(directory))
}

const isRecord = (value: unknown): value is MachineRecord =>
  typeof value === "object" && value !== null && "schema" in value && value.schema === 1 && "nonce" in value
