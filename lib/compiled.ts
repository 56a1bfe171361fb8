/** Node's compile cache, which keeps our TypeScript compiled. */
import { statSync } from "node:fs"
import { flushCompileCache, getCompileCacheDir } from "node:module"

const mark = "FRACTUS_COMPILED"

/**
 * A process that compiles its own code holds some 30 MB more for as long as it runs, as the compiler stays loaded: it keeps what it
 * compiled and becomes itself again, once, under the same pid. For a start, before anything is open. Nothing happens where all was
 * compiled before, and without NODE_COMPILE_CACHE. `loadMore` loads what would else be compiled later.
 */
export async function startOverIfCompiling(loadMore: () => Promise<void> = async () => {}): Promise<void> {
  const again = process.env[mark] !== undefined
  delete process.env[mark]
  if (again || !keptMore()) return
  await loadMore()
  keptMore()
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve?.(process.execPath, argv, { ...process.env, [mark]: "1" })
}

/** Writes what was compiled; true when there was any. Another process that writes just now may be taken for us: a start more. */
function keptMore(): boolean {
  const folder = getCompileCacheDir()
  if (folder === undefined) return false
  const before = statSync(folder).mtimeMs
  flushCompileCache()
  return statSync(folder).mtimeMs !== before
}
