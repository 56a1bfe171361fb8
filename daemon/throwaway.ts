/** A throwaway daemon (`main.ts HOME/config.json --throwaway`): it ends, and its home goes, with the process that asked for it. */
import { rmSync } from "node:fs"
import { basename } from "node:path"

/** So begins the name of every home that may be thrown away. */
const prefix = "fractus-try-"

/**
 * Whether this daemon is one. Throws for a home that does not carry the name of those that `fractus try` makes: data that somebody
 * wants to keep must not go because of a word too many.
 */
export function isThrowaway(home: string): boolean {
  if (!process.argv.includes("--throwaway")) return false
  if (!basename(home).startsWith(prefix)) throw new Error(`${home} is no home that may be thrown away`)
  return true
}

/**
 * Calls `end` once, when standard input ends. That is a pipe to which nobody writes: the kernel closes it with the process at its other
 * end, however that one ends.
 */
export function whenAskerEnds(end: () => void): void {
  let told = false
  const tell = (): void => {
    if (told) return
    told = true
    end()
  }
  process.stdin.on("error", tell).on("end", tell).on("close", tell).resume()
}

/** Removes the home. Threads of this process may still write to it, so a folder that is not empty is tried again. */
export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
}
