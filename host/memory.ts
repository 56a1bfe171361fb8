/** What guests' processes take of this machine's memory. */
import { readFile } from "node:fs/promises"
import { readFileSync } from "node:fs"
import { totalmem } from "node:os"
import type { HostMemory, PoolState, Status } from "./protocol/types.ts"

const atOnce = 4

/** Of the guests that have a process: one that ends meanwhile is left out. `templatesBytes` as the hypervisor gives it. */
export async function guestMemory(
  guests: Iterable<{ readonly resource: string; readonly status: Status | undefined }>,
  templatesBytes: number,
  pool?: PoolState,
): Promise<HostMemory> {
  const left = [...guests].flatMap(({ resource, status }) =>
    status?.kind === "guest" && status.pid !== undefined ? [{ guest: resource, pid: status.pid }] : [],
  )
  const found: HostMemory["guests"][number][] = []
  const look = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const memory = await memoryOf(next.pid)
      if (memory) found.push({ guest: next.guest, ...memory })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, look))
  if (!pool || pool.wanted + pool.members.length === 0) return { guests: found, templatesBytes }
  const waiting = (await Promise.all(pool.members.map(memoryOf))).filter((each) => each !== undefined)
  const pssBytes = waiting.reduce((sum, each) => sum + each.pssBytes, 0)
  return { guests: found, templatesBytes, pool: { wanted: pool.wanted, waiting: waiting.length, pssBytes } }
}

/** What the kernel can give without swapping (proc_meminfo(5), MemAvailable). */
export function availableMiB(): number {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))
  return Math.floor(Number(found?.[1] ?? 0) / 1024)
}

/** What clones that wait leave alone. */
export const poolFloorMiB = (): number => Math.max(512, Math.floor(totalmem() / 2 ** 20 / 10))

/** Pss counts a page that several processes share in parts, Rss whole with each of them (proc_pid_smaps(5)). */
export async function memoryOf(
  pid: number,
): Promise<{ readonly pssBytes: number; readonly rssBytes: number } | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "")
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) * 1024
  const [pssBytes, rssBytes] = [bytes("Pss"), bytes("Rss")]
  return Number.isNaN(pssBytes) || Number.isNaN(rssBytes) ? undefined : { pssBytes, rssBytes }
}
