import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { capLog } from "../daemon/log.ts"
import { startCommand } from "../daemon/require.ts"
import { Failure } from "../failure.ts"
import { homeFiles, existingHome } from "../home.ts"

const chunkBytes = 64 * 1024

/** Offset in the file at which its last `lines` lines begin. Reads from the end, whatever the length. */
export const tailOffset = (fd: number, lines: number): number => {
  let position = fstatSync(fd).size
  const buffer = Buffer.alloc(chunkBytes)
  let wanted = lines
  let first = true
  while (position > 0) {
    const start = Math.max(0, position - chunkBytes)
    const read = readSync(fd, buffer, 0, position - start, start)
    for (let index = read - 1; index >= 0; index--) {
      if (buffer[index] !== 10) continue
      if (first && start + index === fstatSync(fd).size - 1) continue // the end of the last line begins no other
      if (--wanted <= 0) return start + index + 1
    }
    first = false
    position = start
  }
  return 0
}

const copyFrom = (fd: number, offset: number): number => {
  const buffer = Buffer.alloc(chunkBytes)
  for (let position = offset; ;) {
    const read = readSync(fd, buffer, 0, chunkBytes, position)
    if (read === 0) return position
    process.stdout.write(buffer.toString("utf8", 0, read))
    position += read
  }
}

const follow = async (path: string, from: number): Promise<void> => {
  let offset = from
  let inode = statSync(path).ino
  process.stdout.on("error", () => process.exit(0)) // the reader of our pipe went away
  for (;;) {
    await pause(200)
    if (!existsSync(path)) continue
    const now = statSync(path)
    if (now.ino !== inode || now.size < offset) offset = 0 // set aside, or truncated
    inode = now.ino
    if (now.size === offset) continue
    const fd = openSync(path, "r")
    offset = copyFrom(fd, offset)
    closeSync(fd)
  }
}

/** `fractus logs`: the end of the daemon's log; with --follow also what comes. */
export const logs = async (options: { home?: string; lines: number; follow?: boolean }): Promise<void> => {
  const home = existingHome(options.home)
  const path = homeFiles(home).log
  if (!existsSync(path)) throw new Failure(1, `there is no log in ${home}: it was never started`, startCommand(home))
  if (process.getuid?.() === statSync(path).uid) capLog(path)
  const fd = openSync(path, "r")
  const end = options.lines === 0 ? fstatSync(fd).size : copyFrom(fd, tailOffset(fd, options.lines))
  closeSync(fd)
  if (options.follow === true) await follow(path, end)
}
