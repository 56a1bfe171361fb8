/** Processes named so that a reused pid is never taken for the one that was meant. */
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Clock } from "#lib/clock.ts"
import { processes } from "#lib/processes.ts"

export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/<pid>/stat: clock ticks between the host's boot and the start of the process. */
  readonly startTime: string
}

/** The identity of `pid` as it is now; undefined when it is gone or a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = statOf(pid)?.[19]
  return startTime === undefined ? undefined : { pid, startTime }
}

/** Kernels give it in hundredths of a second to all programs (USER_HZ, proc_pid_stat(5)). Undefined when the process is gone. */
export function cpuTimeMs({ pid, startTime }: ProcessIdentity): number | undefined {
  const fields = statOf(pid)
  // User and system time, and the start.
  return fields?.[19] === startTime ? (Number(fields[11]) + Number(fields[12])) * 10 : undefined
}

/** Of a process that is no zombie: the fields of its stat from the third, its state, on. */
function statOf(pid: number): readonly string[] | undefined {
  const stat = readProc(pid, "stat")
  // The command's name stands in parentheses and may hold anything, parentheses too.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields?.[0] === "Z" || fields?.[0] === "X" ? undefined : fields
}

export const isAlive = (process: ProcessIdentity): boolean => identify(process.pid)?.startTime === process.startTime

/** The oldest process with `argument` as a part of its command line. */
export async function findByArgument(argument: string): Promise<ProcessIdentity | undefined> {
  let found: ProcessIdentity | undefined
  for (const { pid, words } of await processes("cmdline")) {
    if (!words.some((word) => word.includes(argument))) continue
    const identity = identify(pid)
    if (identity && (!found || Number(identity.startTime) < Number(found.startTime))) found = identity
  }
  return found
}

/** SIGKILL, and wait until it is gone. Throws when it is still there after `timeoutMs`. */
export async function end(target: ProcessIdentity, clock: Clock, timeoutMs = 10_000): Promise<void> {
  if (!isAlive(target)) return
  try {
    process.kill(target.pid, "SIGKILL")
  } catch {
    return
  }
  const deadline = clock.monotonicMs() + timeoutMs
  while (isAlive(target)) {
    if (clock.monotonicMs() > deadline) throw new Error(`process ${target.pid} outlives SIGKILL by ${timeoutMs} ms`)
    await sleep(2)
  }
}

/** Changes with every boot of the host. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1")
  } catch {
    return undefined
  }
}
