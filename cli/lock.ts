import { setTimeout as pause } from "node:timers/promises"
import { type Claim, readClaim, takeClaim } from "#lib/claim.ts"
import { Failure } from "./failure.ts"

const longestMs = 900_000

/** Runs `work` while no other run of ours holds the lock file; `onWait` hears once who does. Exit 4 after 15 minutes. */
export const withLock = async <T>(path: string, work: () => Promise<T>, onWait: (pid: number) => void): Promise<T> => {
  const claim = await taken(path, onWait)
  try {
    return await work()
  } finally {
    claim.release()
  }
}

const taken = async (path: string, onWait: (pid: number) => void): Promise<Claim> => {
  const end = performance.now() + longestMs
  let told = false
  for (;;) {
    const claim = takeClaim(path)
    if (claim !== undefined) return claim
    const holder = readClaim(path)
    if (holder !== undefined && !told) onWait(holder.pid)
    told ||= holder !== undefined
    if (performance.now() > end) {
      throw new Failure(4, `another run (pid ${holder?.pid}) has held ${path} for 15 minutes`, `ps ${holder?.pid}`)
    }
    await pause(100)
  }
}
