/** What a process takes of the machine's memory. */
import { readFileSync } from "node:fs"

/** Pss counts what several share in parts, Rss whole with each (proc_pid_smaps(5)). */
export function memoryOf(pid: number): { readonly pssMiB: number; readonly rssMiB: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1])
  return { pssMiB: kib("Pss") / 1024, rssMiB: kib("Rss") / 1024 }
}
