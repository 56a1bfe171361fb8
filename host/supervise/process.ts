/** Processes known by pid and start time: a pid alone is used again. */
import { readFileSync } from "node:fs"

/** Start time of a living process in clock ticks since boot (proc(5), field 22), or undefined when it is gone or a zombie. */
export function startTime(pid: number): string | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined
  }
  // The second field is the name in parentheses and may hold anything, so fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19]
}

/** This boot of the machine. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

export interface ProcessId {
  readonly pid: number
  readonly startTime: string
}

export const lives = ({ pid, startTime: known }: ProcessId): boolean => startTime(pid) === known

/** Signal exactly this process; false when it is gone. */
export function signal(id: ProcessId, name: NodeJS.Signals): boolean {
  if (!lives(id)) return false
  try {
    return process.kill(id.pid, name)
  } catch {
    return false
  }
}
