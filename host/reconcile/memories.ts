/**
 * What is kept of guests that are hibernated: an image of each one's memory, and in another folder its key, which serves that image alone.
 * An image is there exactly as long as its guest has not run since: it is removed before the guest may.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { type MemoryImage, newImageKey, removeMemoryImage } from "#engine/hypervisor/memory-image.ts"

export type Memories = ReturnType<typeof openMemories>

const keyBytes = 32

export function openMemories(stateDirectory: string) {
  const images = join(stateDirectory, "hibernated")
  const keys = join(stateDirectory, "keys", "hibernation")
  const imageOf = (guest: string) => join(images, named(guest))
  const keyOf = (guest: string) => join(keys, named(guest))
  const has = async (guest: string): Promise<boolean> => (await stat(imageOf(guest)).catch(missing)) !== undefined
  return {
    has,
    /** The image of a hibernated guest. Without its key it opens as little as one that was changed. */
    async find(guest: string): Promise<MemoryImage | undefined> {
      if (!(await has(guest))) return undefined
      const key = await readFile(keyOf(guest)).catch(missing)
      return { path: imageOf(guest), key: key?.length === keyBytes ? key : newImageKey() }
    },
    /** Where to write a guest's memory, with a new key that is on the disk already. */
    async begin(guest: string): Promise<MemoryImage> {
      for (const folder of [images, keys]) await mkdir(folder, { recursive: true, mode: 0o700 })
      const key = newImageKey()
      const temporary = `${keyOf(guest)}.new`
      const file = await open(temporary, "w", 0o600)
      try {
        await file.writeFile(key)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, keyOf(guest))
      const folder = await open(keys)
      await folder.sync().finally(() => folder.close())
      return { path: imageOf(guest), key }
    },
    /** Removes image and key, so that nothing brings them back. */
    async forget(guest: string): Promise<void> {
      await rm(keyOf(guest), { force: true })
      if (await has(guest)) removeMemoryImage(imageOf(guest))
      await rm(`${imageOf(guest)}.new`, { force: true })
    },
    async list(): Promise<readonly string[]> {
      const names = (await readdir(images).catch(missing)) ?? []
      return [...new Set(names.map((name) => name.replace(/\.new$/, "")))]
    },
  }
}

function named(guest: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(guest)) throw new Error(`not a resource id: ${guest}`)
  return guest
}

function missing(error: unknown): undefined {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  return undefined
}
