/** Files that say which process works on something. A file is void once that very process is gone: a pid alone is used again. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"

export interface Holder {
  readonly pid: number
  /** Clock ticks after boot, field 22 of /proc/PID/stat. */
  readonly startTime: number
}

export interface Claim {
  /** Replaces what the file says besides its holder. */
  say(content: object): void
  release(): void
}

/** Start time of a process in clock ticks after boot (proc(5), field 22); undefined when it is gone or a zombie. */
export function startTimeOf(pid: number): number | undefined {
  let text
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined
  }
  // The second field is the command in brackets and may hold spaces and brackets itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19])
}

export const lives = ({ pid, startTime }: Holder): boolean => startTimeOf(pid) === startTime

/**
 * Takes the file at `path` for this process, or gives undefined while another living process has it. It appears with its content, never
 * empty; what a killed process left behind does not block.
 */
export function takeClaim(path: string, content: object = {}): Claim | undefined {
  const mine = `${path}.${process.pid}`
  const write = (said: object) =>
    writeFileSync(mine, `${JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid), ...said })}\n`)
  try {
    for (;;) {
      write(content)
      if (appears(mine, path)) break
      if (readClaim(path) !== undefined) return undefined
      clearVoid(path)
    }
  } finally {
    rmSync(mine, { force: true })
  }
  return {
    say(said) {
      write(said)
      renameSync(mine, path)
    },
    release: () => rmSync(path, { force: true }),
  }
}

/** What the file says, while its holder lives. */
export function readClaim(path: string): (Holder & Readonly<Record<string, unknown>>) | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"))
    return isHolder(value) && lives(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== "object" || value === null) return false
  return "pid" in value && typeof value.pid === "number" && "startTime" in value && typeof value.startTime === "number"
}

function appears(from: string, path: string): boolean {
  try {
    linkSync(from, path)
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false
    throw error
  }
}

/** Takes a dead holder's file away. Where a living one took its place meanwhile, that is put back. */
export function clearVoid(path: string): void {
  const aside = `${path}.${process.pid}.void`
  try {
    renameSync(path, aside)
    if (readClaim(aside) !== undefined) linkSync(aside, path)
  } catch {
    // Another one was quicker.
  } finally {
    rmSync(aside, { force: true })
  }
}
