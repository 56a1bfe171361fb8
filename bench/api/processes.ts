/** Numbers of a process from /proc. */
import { readdirSync, readFileSync } from "node:fs"

/** Linux reports these in ticks of 10 ms on every architecture we run on (USER_HZ). */
const tickMs = 10

/**
 * CPU time of the threads that a process has, user and system, in milliseconds: from the scheduler's own clock of nanoseconds. A kernel
 * without it (CONFIG_SCHED_INFO) tells ticks, of the threads that ended too.
 */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  try {
    return threads.reduce((sum, thread) => sum + Number(firstWord(`/proc/${pid}/task/${thread}/schedstat`)), 0) / 1e6
  } catch {
    const fields = statFields(pid)
    return (Number(fields[11]) + Number(fields[12])) * tickMs
  }
}

const firstWord = (path: string) => readFileSync(path, "latin1").split(" ", 1)[0]

/** Resident memory of a process and all its descendants, in MiB. */
export function residentMiB(pid: number): number {
  return [pid, ...descendants(pid)].reduce((total, each) => total + ownResidentMiB(each), 0)
}

/** Resident memory of one process, in MiB; pages that it shares with others count in full. */
export function ownResidentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024
}

function descendants(pid: number): readonly number[] {
  const parents = readdirSync("/proc").flatMap((name): [number, number][] => {
    if (!/^\d+$/.test(name)) return []
    try {
      return [[Number(name), Number(statFields(Number(name))[1])]]
    } catch {
      return [] // ended meanwhile
    }
  })
  const of = (parent: number): number[] =>
    parents.filter(([, its]) => its === parent).flatMap(([child]) => [child, ...of(child)])
  return of(pid)
}

/** The fields after the command's name: state, parent, ... */
function statFields(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8")
  return text.slice(text.lastIndexOf(")") + 2).split(" ")
}
