/**
 * A machine's memory as a file: encrypted and authenticated, read from its beginning to its end. A key serves one image only, so an
 * image of another machine, or an earlier one of the same, is as foreign as noise.
 *
 * `magic`, then frames: four bytes (length; the highest bit marks the last frame), so many bytes of AES-256-GCM, their tag. The nonce is
 * the frame's number, and the four bytes are authenticated with it: a frame that was changed, moved, left out or added is refused,
 * and nothing of it is given to anybody. The first frame is the head, JSON.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { closeSync, constants, fsyncSync, openSync, rmSync, statfsSync } from "node:fs"
import { type FileHandle, open, rename } from "node:fs/promises"
import path from "node:path"

export interface MemoryImage {
  /** Absolute; its folder must be there. */
  readonly path: string
  /** 32 random bytes that no other image has. */
  readonly key: Uint8Array
}

/** Memory that no machine may be continued from: not what was written, or not for this machine or this host. */
export class UnusableMemory extends Error {}

export const newImageKey = (): Uint8Array => randomBytes(32)

const magic = Buffer.from("FRACTUS MEMORY 1", "latin1")
const cipher = "aes-256-gcm"
const tagBytes = 16
export const frameBytes = 1 << 20
const lastFrame = 0x8000_0000
/** Guests that run need room on the same disk: a save ends before it takes the last of it. */
const reserveBytes = 64 << 20

/**
 * Writes `image` whole or not at all. `finished` is asked after the last byte whether these were all; when it rejects, so does this.
 * Rejects with code ENOSPC where the disk is full, or nearly.
 */
export async function writeMemoryImage(
  image: MemoryImage,
  head: unknown,
  source: AsyncIterable<Buffer>,
  finished: () => Promise<void> = async () => {},
): Promise<void> {
  const temporary = `${image.path}.new`
  removeMemoryImage(image.path)
  const file = await open(temporary, "wx", 0o600)
  try {
    const write = sealer(file, image)
    await file.write(magic)
    await write(Buffer.from(JSON.stringify(head)), false)
    for await (const frame of frames(source)) await write(frame, false)
    await finished()
    await write(Buffer.alloc(0), true)
    await file.sync()
    await file.close()
    await rename(temporary, image.path)
    syncFolder(image.path)
  } catch (error) {
    await file.close().catch(() => {})
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Removes it, and what is left of an attempt to write it. Returns when not even a power cut brings it back. */
export function removeMemoryImage(file: string): void {
  rmSync(`${file}.new`, { force: true })
  rmSync(file, { force: true })
  syncFolder(file)
}

/**
 * Opens an image and reads its head. `rest` gives what was written after it, and throws UnusableMemory at the first frame that is not
 * what was written: only when it has ended without that is anything of it to be trusted. Throws UnusableMemory, and ENOENT.
 */
export async function readMemoryImage(
  image: MemoryImage,
): Promise<{ readonly head: unknown; readonly rest: AsyncIterable<Buffer>; readonly close: () => Promise<void> }> {
  const file = await open(image.path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const read = opener(file, image)
    const found = await exactly(file, magic.length)
    if (!found.equals(magic)) throw new UnusableMemory("its image is not one that this release writes")
    const { bytes } = await read()
    const head: unknown = JSON.parse(bytes.toString())
    return { head, rest: remaining(file, read), close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function* remaining(file: FileHandle, read: ReturnType<typeof opener>): AsyncGenerator<Buffer> {
  for (;;) {
    const { bytes, last } = await read()
    if (bytes.length > 0) yield bytes
    if (last) break
  }
  const { bytesRead } = await file.read(Buffer.alloc(1))
  if (bytesRead > 0) throw changed()
}

const changed = () => new UnusableMemory("its image is not what was written")

const nonceOf = (frame: number): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(frame), 4)
  return nonce
}

function sealer(file: FileHandle, { key, path: name }: MemoryImage) {
  let count = 0
  return async (plain: Buffer, last: boolean) => {
    requireRoom(path.dirname(name))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(((last ? lastFrame : 0) | plain.length) >>> 0)
    const seal = createCipheriv(cipher, key, nonceOf(count++)).setAAD(length)
    const sealed = seal.update(plain)
    seal.final()
    await writeAll(file, [length, sealed, seal.getAuthTag()])
  }
}

function opener(file: FileHandle, { key }: MemoryImage) {
  let count = 0
  return async () => {
    const length = await exactly(file, 4)
    const word = length.readUInt32BE()
    const last = word >= lastFrame
    const size = word % lastFrame
    if (size > frameBytes) throw changed()
    const sealed = await exactly(file, size + tagBytes)
    const unseal = createDecipheriv(cipher, key, nonceOf(count++), { authTagLength: tagBytes })
    unseal.setAAD(length).setAuthTag(sealed.subarray(size))
    try {
      const bytes = Buffer.concat([unseal.update(sealed.subarray(0, size)), unseal.final()])
      return { bytes, last }
    } catch {
      throw changed()
    }
  }
}

/** Joins what comes in small pieces. */
async function* frames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let size = 0
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + frameBytes - size)
      pieces.push(part)
      at += part.length
      size += part.length
      if (size < frameBytes) continue
      yield Buffer.concat(pieces)
      pieces = []
      size = 0
    }
  }
  if (size > 0) yield Buffer.concat(pieces)
}

async function writeAll(file: FileHandle, parts: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(parts)
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten
}

async function exactly(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(bytes, at, size - at)
    if (bytesRead === 0) throw new UnusableMemory("its image ends too early")
    at += bytesRead
  }
  return bytes
}

function requireRoom(folder: string): void {
  const { bavail, bsize } = statfsSync(folder)
  if (bavail * bsize < reserveBytes)
    throw Object.assign(new Error("no space left on the disk for its memory"), { code: "ENOSPC" })
}

function syncFolder(file: string): void {
  const folder = openSync(path.dirname(file), "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
