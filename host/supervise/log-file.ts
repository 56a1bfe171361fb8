/** A child's output: appended to a file by the child itself, so that it outlives us; kept short by us while we live. */
import { closeSync, openSync } from "node:fs"
import { open, rename, stat, truncate, writeFile } from "node:fs/promises"

/** Opened for append: after a truncation the child goes on at the new end. The caller closes the descriptor. */
export function openLog(path: string): { readonly fd: number; close(): void } {
  const fd = openSync(path, "a", 0o640)
  return { fd, close: () => closeSync(fd) }
}

/** When the file is larger than `maxBytes`, keep its last half beside it as `<path>.1` and empty it. */
export async function shorten(path: string, maxBytes: number): Promise<void> {
  const { size } = await stat(path)
  if (size <= maxBytes) return
  const file = await open(path, "r")
  try {
    const tail = Buffer.alloc(Math.floor(maxBytes / 2))
    const { bytesRead } = await file.read(tail, 0, tail.length, size - tail.length)
    await writeFile(`${path}.1.new`, tail.subarray(0, bytesRead), { mode: 0o640 })
    await rename(`${path}.1.new`, `${path}.1`)
  } finally {
    await file.close()
  }
  await truncate(path, 0)
}
