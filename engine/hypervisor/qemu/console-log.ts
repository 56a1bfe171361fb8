/**
 * What a guest writes to its serial port. QEMU keeps it in a ring in memory, so a guest that never stops printing costs
 * nothing, also while no daemon is there to read. We move the ring's content to a file now and then, before we end a
 * machine, and when asked. A guest that prints more than the ring between two readings has a gap; the newest is kept.
 */
import { appendFileSync, readFileSync, renameSync, statSync } from "node:fs"
import path from "node:path"
import { consoleRingBytes, serialChardev } from "./argv.ts"
import type { Qmp } from "./qmp.ts"

/** When the file is longer, it becomes the old one: at most twice this is kept. */
const fileLimitBytes = 1 << 19
const chunkBytes = 1 << 16

const current = (directory: string) => path.join(directory, "console.log")
const older = (directory: string) => path.join(directory, "console.log.old")

/** Moves what the ring holds to the file. Reads no more than one ring's worth, however fast the guest prints. */
export async function drainConsole(qmp: Qmp, directory: string): Promise<void> {
  for (let read = 0; read < consoleRingBytes;) {
    const answer = await qmp.execute(
      "ringbuf-read",
      { device: serialChardev, size: chunkBytes, format: "base64" },
      2000,
    )
    if (typeof answer !== "string") throw new Error("QMP: ringbuf-read gave no text")
    const bytes = Buffer.from(answer, "base64")
    if (bytes.length === 0) return
    keepConsole(directory, bytes)
    read += bytes.length
    if (bytes.length < chunkBytes) return
  }
}

/** Puts what the guest wrote behind what is kept. */
export function keepConsole(directory: string, bytes: Buffer): void {
  appendFileSync(current(directory), bytes, { mode: 0o600 })
  if (statSync(current(directory)).size > fileLimitBytes) renameSync(current(directory), older(directory))
}

/** The last `maxBytes` of what was kept. */
export function readConsole(directory: string, maxBytes: number): Buffer {
  const now = read(current(directory))
  const all = now.length >= maxBytes ? now : Buffer.concat([read(older(directory)), now])
  return all.subarray(Math.max(0, all.length - maxBytes))
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    return Buffer.alloc(0)
  }
}
