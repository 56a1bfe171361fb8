import { closeSync, copyFileSync, existsSync, openSync, renameSync, statSync, truncateSync } from "node:fs"

/** A log longer than this is set aside as `daemon.log.1`; an older one of that name goes. */
export const logLimitBytes = 8 * 1024 * 1024

/** Opens the log for the daemon to append to. */
export const openLog = (path: string): number => {
  if (existsSync(path) && statSync(path).size > logLimitBytes) renameSync(path, `${path}.1`)
  return openSync(path, "a", 0o640)
}

/**
 * Caps a log that a running daemon writes to. The daemon holds it open for appending, so it is copied and truncated
 * in place; lines written between the two calls are lost, which a log can bear.
 */
export const capLog = (path: string): void => {
  if (!existsSync(path) || statSync(path).size <= logLimitBytes) return
  copyFileSync(path, `${path}.1`)
  truncateSync(path, 0)
}

/** Runs `use` with the log open and closes our end of it. */
export const withLog = <T>(path: string, use: (fd: number) => T): T => {
  const fd = openLog(path)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
