import { setTimeout as pause } from "node:timers/promises"
import { lives } from "#lib/claim.ts"
import { type DaemonRecord, readDaemonRecord } from "../home.ts"

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
