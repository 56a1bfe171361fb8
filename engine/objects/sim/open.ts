/** Objects in memory: nothing outlives the process. The index is SQLite's too, so that lists are the same. */
import { createHash, randomBytes } from "node:crypto"
import { openIndex } from "../files/index.ts"
import { type ObjectsEngine, type StoredObject, TooLargeError } from "../types.ts"

/** Bytes in all, at most. */
const maxMemoryBytes = 256 * 1024 * 1024

export async function openSimObjects(): Promise<ObjectsEngine> {
  const index = openIndex(":memory:")
  const kept = new Map<string, Buffer>()
  let usedBytes = 0
  const forget = (ids: readonly string[]): void => {
    for (const id of ids) {
      usedBytes -= kept.get(id)?.length ?? 0
      kept.delete(id)
    }
    index.forgetBlobs(ids)
  }
  return {
    name: "sim",
    async write(source, maxBytes) {
      const parts: Uint8Array[] = []
      let sizeBytes = 0
      for await (const part of source) {
        sizeBytes += part.length
        if (sizeBytes > maxBytes || usedBytes + sizeBytes > maxMemoryBytes) throw new TooLargeError("too many bytes")
        parts.push(Uint8Array.from(part))
      }
      const id = randomBytes(16).toString("hex")
      index.addBlob(id)
      const bytes = Buffer.concat(parts)
      kept.set(id, bytes)
      usedBytes += sizeBytes
      return { id, sizeBytes, md5: createHash("md5").update(bytes).digest("hex") }
    },
    discard: async (blobs) => forget(blobs.map(({ id }) => id)),
    async put(wish) {
      const { object, gone } = index.put(wish)
      forget(gone)
      return object
    },
    get: async (space, name) => index.get(space, name),
    read: (object, from, to) => readKept(object, from, to, kept),
    remove: async (space, names) => forget(index.remove(space, names)),
    list: async (query) => index.list(query),
    async removeSpace(space) {
      for (let gone = index.removeSome(space); gone !== undefined; gone = index.removeSome(space)) forget(gone)
    },
    async reset() {
      index.clear()
      forget(index.orphans())
    },
    close: async () => index.close(),
  }
}

/** The bytes are held from the first piece on. */
async function* readKept({ blobs }: StoredObject, from: number, to: number, kept: ReadonlyMap<string, Buffer>) {
  let start = 0
  for (const bytes of blobs.map(({ id }) => kept.get(id) ?? Buffer.alloc(0))) {
    const first = Math.max(from - start, 0)
    const end = Math.min(to - start, bytes.length)
    start += bytes.length
    if (first < end) yield bytes.subarray(first, end)
  }
}
