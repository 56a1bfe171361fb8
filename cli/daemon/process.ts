import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { lives } from "#lib/claim.ts"
import { Failure } from "../failure.ts"
import { type DaemonRecord, readDaemonRecord } from "../home.ts"
import { homeOfCommand } from "../ports.ts"

/** The daemon of a home, when it is alive: the same pid with the same start time, so a reused pid is not taken for it. */
export const runningDaemon = (home: string): DaemonRecord | undefined => {
  const record = readDaemonRecord(home)
  return record !== undefined && lives(record) ? record : undefined
}

/** Waits until that very process is gone; false when it is still there after the deadline. */
export const waitUntilGone = async (daemon: DaemonRecord, deadlineMs: number): Promise<boolean> => {
  const end = performance.now() + deadlineMs
  while (lives(daemon)) {
    if (performance.now() > end) return false
    await pause(50)
  }
  return true
}

const readNamespace = (pid: number | "self"): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return undefined // gone, or another user's
  }
}

const commandOf = (pid: number): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1)
  } catch {
    return []
  }
}

/** A daemon of this home that does not serve yet, as an `up` that was ended leaves one. A container's of the same path is not it. */
const startingDaemon = (home: string): number | undefined =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => homeOfCommand(commandOf(pid)) === home && readNamespace(pid) === readNamespace("self"))

/**
 * Waits until a daemon that an earlier run has started serves or is gone; returns at once when there is none. At the deadline a
 * Failure (4) with its pid.
 */
export const waitForStarting = async (
  home: string,
  onWait: (pid: number) => void,
  deadlineMs = 120_000,
): Promise<void> => {
  const end = performance.now() + deadlineMs
  for (let told = false; runningDaemon(home) === undefined; told = true) {
    const pid = startingDaemon(home)
    if (pid === undefined) return
    if (!told) onWait(pid)
    if (performance.now() > end) {
      const message = `a daemon that was started earlier on ${home} (pid ${pid}) does not come to serve`
      throw new Failure(4, message, `kill ${pid}`)
    }
    await pause(100)
  }
}
