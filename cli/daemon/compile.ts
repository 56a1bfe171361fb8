import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, globSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { compiledFolder } from "../compiled.ts"

const folders = "{cloud,daemon,engine,host,images,lib,services,store,wire}"
const deadlineMs = 30_000

/** Changes with every change of the code that a daemon loads, and with Node's version. */
const fingerprint = (root: string): string => {
  const hash = createHash("sha256").update(process.version)
  for (const path of globSync(`${folders}/**/*.{ts,mjs}`, { cwd: root }).toSorted()) {
    if (path.endsWith(".test.ts")) continue
    const { size, mtimeMs } = statSync(join(root, path))
    hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
  return hash.digest("hex").slice(0, 32)
}

/**
 * Has a process of its own compile the daemon's code, once for each state of the code, so that no daemon does (see
 * daemon/compile.ts). Takes a second then, a few milliseconds afterwards. When it fails the daemon compiles for itself.
 */
export const compileOnce = (node: string, main: string, env: NodeJS.ProcessEnv, cache = compiledFolder()): void => {
  const folder = dirname(main)
  if (!existsSync(join(folder, "compile.ts"))) return
  const done = join(
    cache,
    `done-${createHash("sha256").update(folder).digest("hex").slice(0, 16)}-${fingerprint(dirname(folder))}`,
  )
  if (existsSync(done)) return
  const run = spawnSync(node, [main, "--compile"], {
    env: { ...env, NODE_COMPILE_CACHE: cache },
    stdio: "ignore",
    timeout: deadlineMs,
  })
  if (run.status !== 0) return
  mkdirSync(cache, { recursive: true, mode: 0o755 })
  writeFileSync(done, "")
}
