import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { startTimeOf } from "./daemon/process.ts"
import { codeOf, Failure } from "./failure.ts"

const holderOf = (path: string): { pid: number; alive: boolean } | undefined => {
  try {
    const [pid, startTime] = readFileSync(path, "utf8").split(" ").map(Number)
    return { pid: pid ?? 0, alive: startTimeOf(pid ?? 0) === startTime }
  } catch {
    return undefined
  }
}

/** Takes a dead holder's lock away. Where a living one took its place meanwhile, that is put back. */
const clearStale = (path: string, aside: string): void => {
  try {
    renameSync(path, aside)
    if (holderOf(aside)?.alive === true) linkSync(aside, path)
  } catch {
    // another waiter was quicker
  } finally {
    rmSync(aside, { force: true })
  }
}

/**
 * Runs `work` while no other run of ours holds the lock file. The file names its holder by pid and start time, so one
 * that a killed run left behind does not block. It appears with its content (link), never empty.
 */
export const withLock = async <T>(path: string, work: () => Promise<T>, onWait: (pid: number) => void): Promise<T> => {
  const mine = `${path}.${process.pid}`
  writeFileSync(mine, `${process.pid} ${startTimeOf(process.pid)}`, { mode: 0o644 })
  const end = performance.now() + 900_000
  let told = false
  try {
    for (;;) {
      try {
        linkSync(mine, path)
        break
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error
      }
      const holder = holderOf(path)
      if (holder !== undefined && !holder.alive) clearStale(path, `${mine}.stale`)
      if (holder?.alive === true && !told) onWait(holder.pid)
      told ||= holder?.alive === true
      if (performance.now() > end) {
        throw new Failure(4, `another run (pid ${holder?.pid}) has held ${path} for 15 minutes`, `ps ${holder?.pid}`)
      }
      await pause(100)
    }
  } finally {
    rmSync(mine, { force: true })
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}
