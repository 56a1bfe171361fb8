import { execFileSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { repository } from "../repository.ts"

/** Whether every folder above may be passed through by everybody, as the daemon's unprivileged users must. */
export const isReachableByAll = (path: string): boolean => {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (dirname(folder) === folder) return true
  }
}

/** What a daemon never loads. */
const unneeded = new Set(["bench", "docs", "tests"])

const copyTree = (from: string[], to: string): void => {
  try {
    execFileSync("cp", ["-al", "--", ...from, to], { stdio: "pipe" }) // hard links: no space, a fraction of a second
  } catch {
    execFileSync("cp", ["-a", "--reflink=auto", "--", ...from, to], { stdio: "pipe" })
  }
}

/**
 * The folder to run the daemon from. A clone under /root or under an Ubuntu home (mode 0750) cannot be read by the
 * unprivileged processes, so there the code is linked (copied across file systems) into the home, anew at each start.
 */
export const codeFolder = (target: string, source = repository): string => {
  if (isReachableByAll(source)) return source
  const fresh = `${target}.new`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true, mode: 0o755 })
  const present = readdirSync(source)
    .filter((name) => !name.startsWith(".") && !unneeded.has(name))
    .map((name) => join(source, name))
  copyTree(present, fresh)
  const old = `${target}.old`
  rmSync(old, { recursive: true, force: true })
  if (existsSync(target)) renameSync(target, old)
  renameSync(fresh, target)
  rmSync(old, { recursive: true, force: true })
  return target
}

/** The Node 26 of that folder. */
export const nodeOf = (folder: string): string =>
  globSync(join(folder, "node_modules/node-linux-*/bin/node"))[0] ?? process.execPath
