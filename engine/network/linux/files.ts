import { readFile, rename, writeFile } from "node:fs/promises"

/**
 * Replace a file by rename, so that a reader or a kill sees the old text or the new one. Not synced: all of it is of this
 * boot only. Default mode 0644.
 */
export async function replaceFile(path: string, text: string, mode = 0o644): Promise<void> {
  const temporary = `${path}.new`
  await writeFile(temporary, text, { mode })
  await rename(temporary, path)
}

/** The text of a file, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined
    throw error
  })
}
