/** One JSON value a line over a socket, with limits on length and depth that hold before anything is parsed. */
import type { Socket } from "node:net"

export interface LineLimits {
  readonly maxBytes: number
  readonly maxDepth: number
}
export const lineLimits: LineLimits = { maxBytes: 8 << 20, maxDepth: 12 }

/**
 * Calls `onValue` with each value and its length in bytes, one after the other; reading rests while it is at work. `onBad` once
 * when a line is too long, too deep or not JSON, or when `onValue` throws: nothing is read after it.
 */
export function readLines(
  socket: Socket,
  limits: LineLimits,
  onValue: (value: unknown, sizeBytes: number) => Promise<void> | void,
  onBad: (reason: string) => void,
): void {
  read(socket, limits, onValue).catch((error: unknown) => onBad(error instanceof Error ? error.message : String(error)))
}

async function read(socket: Socket, limits: LineLimits, onValue: Parameters<typeof readLines>[2]): Promise<void> {
  let parts: Buffer[] = []
  let sizeBytes = 0
  const source: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false })
  for await (const chunk of source) {
    let from = 0
    for (let end = chunk.indexOf(10); ; end = chunk.indexOf(10, from)) {
      const part = chunk.subarray(from, end === -1 ? chunk.length : end)
      parts.push(part)
      sizeBytes += part.length
      if (sizeBytes > limits.maxBytes) throw new Error("a line is too long")
      if (end === -1) break
      const line = Buffer.concat(parts, sizeBytes)
      await onValue(parse(line, limits.maxDepth), sizeBytes)
      parts = []
      sizeBytes = 0
      from = end + 1
    }
  }
}

/** Depth is counted over bytes first: JSON's structure is ASCII, and a bracket inside a string is skipped with the string. */
function parse(line: Buffer, maxDepth: number): unknown {
  let depth = 0
  let inString = false
  for (let index = 0; index < line.length; index++) {
    const byte = line[index]
    if (inString) {
      if (byte === 0x5c) index++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > maxDepth) throw new Error("a line is nested too deeply")
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  try {
    return JSON.parse(line.toString("utf8"))
  } catch {
    throw new Error("a line is not JSON")
  }
}
