import { readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { type DaemonRecord, readDaemonRecord } from "../home.ts"

/** Start time of a process in clock ticks after boot (field 22 of /proc/PID/stat); undefined when it is gone or a zombie. */
export const startTimeOf = (pid: number): number | undefined => {
  let text
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined
  }
  // The second field is the command in brackets and may hold spaces and brackets itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19])
}

/** The daemon of a home, when it is alive: the same pid with the same start time, so a reused pid is not taken for it. */
export const runningDaemon = (home: string): DaemonRecord | undefined => {
  const record = readDaemonRecord(home)
  return record !== undefined && startTimeOf(record.pid) === record.startTime ? record : undefined
}

/** Waits until that very process is gone; false when it is still there after the deadline. */
export const waitUntilGone = async (daemon: DaemonRecord, deadlineMs: number): Promise<boolean> => {
  const end = performance.now() + deadlineMs
  while (startTimeOf(daemon.pid) === daemon.startTime) {
    if (performance.now() > end) return false
    await pause(50)
  }
  return true
}
