/**
 * `node fits.ts LOCK INSTALLED runtime|development`: exits 0 when the packages that npm recorded as installed are exactly
 * those of the lock file, by version and integrity. Says the first difference and exits 1 otherwise.
 *
 * A package for another system is allowed to be absent when the lock file marks it optional.
 */
import { readFileSync } from "node:fs"

export type LockedPackage = { version?: string; integrity?: string; dev?: boolean; optional?: boolean }
export type LockFile = { packages: Record<string, LockedPackage> }

/** The first difference in words, or undefined when everything fits. */
export const firstDifference = (lock: LockFile, installed: LockFile, scope: string): string | undefined => {
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (path === "" || (wanted.dev === true && scope === "runtime")) continue
    const found = installed.packages[path]
    if (found === undefined) {
      if (wanted.optional === true) continue
      return `${path} is not installed`
    }
    if (found.version !== wanted.version) return `${path} is ${found.version}, the lock file says ${wanted.version}`
    if (found.integrity !== wanted.integrity) return `${path} has another checksum than the lock file says`
  }
  const stranger = Object.keys(installed.packages).find((path) => !(path in lock.packages))
  return stranger === undefined ? undefined : `${stranger} is installed but not in the lock file`
}

const read = (path: string): LockFile => {
  const file: LockFile = JSON.parse(readFileSync(path, "utf8"))
  return file
}

if (import.meta.main) {
  const [lock, installed, scope] = process.argv.slice(2)
  if (lock === undefined || installed === undefined || scope === undefined) throw new Error("LOCK INSTALLED SCOPE")
  const difference = firstDifference(read(lock), read(installed), scope)
  if (difference !== undefined) console.error(difference)
  process.exitCode = difference === undefined ? 0 : 1
}
