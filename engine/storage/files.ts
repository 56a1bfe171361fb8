/** Files that are there whole or not at all, whatever moment a process or the machine dies at. */
import { readFileSync } from "node:fs"
import { open, readFile, readdir, rename, rm, unlink } from "node:fs/promises"
import { dirname, join } from "node:path"

const started = startOf(process.pid) ?? 0
let count = 0

/** A name beside the target, marked with our pid and start so that `sweepTemporary` knows whose it is. */
export function temporaryPath(folder: string): string {
  count += 1
  return join(folder, `.new-${process.pid}-${started}-${count}`)
}

/** Removes temporary files whose process is gone. */
export async function sweepTemporary(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid, start] = /^\.new-(\d+)-(\d+)/.exec(name) ?? []
    // Something that outlived its process may be filling a folder right now: that is tried again.
    if (pid !== undefined && startOf(Number(pid)) !== Number(start))
      await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 })
  }
}

/** When a process began, in ticks since the machine did: tells it from a later one with its number. Undefined: it has ended. */
function startOf(pid: number): number | undefined {
  try {
    // The name in parentheses may hold anything, so fields are counted from its end.
    const [state = "", ...fields] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? []
    // Killed, but not yet waited for.
    return "ZX".includes(state) ? undefined : Number(fields[18])
  } catch {
    return undefined
  }
}

/** Makes `path` be what `write` puts at the temporary path it is given: flushed, then renamed, then the folder flushed. */
export async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(dirname(path))
  try {
    await write(temporary)
    await syncPath(temporary)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
  await syncPath(dirname(path))
}

export async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Content as text; undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8")
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** True when the file was there. */
export async function unlinkIfThere(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}

export function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}
