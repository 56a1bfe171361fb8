/** Numbers of a process from /proc. */
import { readdirSync, readFileSync } from "node:fs"

/** Linux reports these in ticks of 10 ms on every architecture we run on (USER_HZ). */
const tickMs = 10

/** CPU time of a process with all its threads, user and system, in milliseconds. The kernel's own clock behind it is exact. */
export function cpuMs(pid: number): number {
  const fields = statFields(pid)
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}

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
