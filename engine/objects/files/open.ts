/** Objects as files: a file for each blob, and an index. Needs no privileges. */
import { createHash, randomBytes } from "node:crypto"
import { mkdir, open, rm } from "node:fs/promises"
import { join } from "node:path"
import { type Blob, type ObjectsEngine, type StoredObject, TooLargeError } from "../types.ts"
import { openIndex } from "./index.ts"

const pieceBytes = 256 * 1024

/** Opens the folder, makes it if it is not there, and removes what a crash left unfinished. Throws the system's errors. */
export async function openFiles({ directory }: { readonly directory: string }): Promise<ObjectsEngine> {
  await mkdir(join(directory, "blobs"), { recursive: true, mode: 0o700 })
  const index = openIndex(join(directory, "index.sqlite"))
  const pathOf = (id: string) => join(directory, "blobs", id.slice(0, 2), id)
  const unlink = async (ids: readonly string[]): Promise<void> => {
    for (const id of ids) await rm(pathOf(id), { force: true })
    if (ids.length > 0) index.forgetBlobs(ids)
  }
  await unlink(index.orphans())

  return {
    name: "files",
    async write(source, maxBytes) {
      const id = randomBytes(16).toString("hex")
      index.addBlob(id)
      try {
        return await writeFile(id, pathOf(id), source, maxBytes)
      } catch (error) {
        await unlink([id])
        throw error
      }
    },
    discard: (blobs) => unlink(blobs.map(({ id }) => id)),
    async put(wish) {
      const { object, gone } = index.put(wish)
      await unlink(gone)
      return object
    },
    get: async (space, name) => index.get(space, name),
    read: (object, from, to) => readBlobs(object, from, to, pathOf),
    async remove(space, names) {
      await unlink(index.remove(space, names))
    },
    list: async (query) => index.list(query),
    async removeSpace(space) {
      for (let gone = index.removeSome(space); gone !== undefined; gone = index.removeSome(space)) await unlink(gone)
    },
    async reset() {
      index.clear()
      await unlink(index.orphans())
    },
    close: async () => index.close(),
  }
}

/** Durable when it resolves: the bytes, and the folder's entry for them. */
async function writeFile(id: string, path: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Blob> {
  const folder = join(path, "..")
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = await open(path, "wx", 0o600)
  const sum = createHash("md5")
  let sizeBytes = 0
  try {
    for await (const piece of source) {
      sizeBytes += piece.length
      if (sizeBytes > maxBytes) throw new TooLargeError(`more than ${maxBytes} bytes`)
      sum.update(piece)
      for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten
    }
    await file.sync()
  } finally {
    await file.close()
  }
  const entries = await open(folder, "r")
  await entries.sync().finally(() => entries.close())
  return { id, sizeBytes, md5: sum.digest("hex") }
}

/** Each file is open before the first piece of it is given: who removes the object does not end a reader of one blob. */
async function* readBlobs(
  { blobs }: StoredObject,
  from: number,
  to: number,
  pathOf: (id: string) => string,
): AsyncGenerator<Uint8Array> {
  let start = 0
  for (const { id, sizeBytes } of blobs) {
    const first = Math.max(from - start, 0)
    const end = Math.min(to - start, sizeBytes)
    start += sizeBytes
    if (first >= end) continue
    const file = await open(pathOf(id), "r")
    try {
      for (let at = first; at < end;) {
        const { bytesRead, buffer } = await file.read(
          Buffer.allocUnsafe(Math.min(pieceBytes, end - at)),
          0,
          undefined,
          at,
        )
        if (bytesRead === 0) throw new Error(`the blob ${id} is shorter than it should be`)
        yield buffer.subarray(0, bytesRead)
        at += bytesRead
      }
    } finally {
      await file.close()
    }
  }
}
