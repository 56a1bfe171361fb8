/** The daemon's own log: the CLI opens it as our output, we keep it short while we run. */
import { fstatSync, statSync } from "node:fs"
import { shorten } from "#host/supervise/log-file.ts"

const maxBytes = 8 << 20
const everyMs = 10_000

/**
 * Looks every ten seconds whether `path`, when it is what stderr writes to, has more than 8 MiB: then its last half stays as
 * `<path>.1` and it begins anew. Does nothing for a daemon whose output goes elsewhere. What it gives ends it.
 */
export function boundOwnLog(path: string, limits = { maxBytes, everyMs }): () => void {
  const look = async () => {
    try {
      const [output, file] = [fstatSync(2), statSync(path)]
      if (output.ino === file.ino && output.dev === file.dev) await shorten(path, limits.maxBytes)
    } catch (error) {
      // No such log, or no room for its copy: the daemon itself must go on.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) console.error("own log:", error)
    }
  }
  const timer = setInterval(() => void look(), limits.everyMs).unref()
  return () => clearInterval(timer)
}
