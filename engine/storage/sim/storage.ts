/** Volumes as records without bytes: one small JSON file each, so that a daemon finds them again. Needs no privileges. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { StorageError, checkId, checkSize, storageError } from "../errors.ts"
import { sweepTemporary } from "../files.ts"
import { keyFolder, openKeyRing } from "../key-ring.ts"
import { readHeader } from "../qcow2-header.ts"
import { openRecords, type VolumeRecord } from "../records.ts"
import { createTurns } from "../turns.ts"
import type { StorageEngine, VolumeSpec } from "../types.ts"

export interface SimStorageOptions {
  readonly home: string
  /** Images that are there without a file, by the catalog. */
  readonly images?: readonly { readonly id: string; readonly sizeBytes: number }[]
}

/** Opens (or makes) the simulated storage of a home. Errors are StorageError. */
export async function openSimStorage(options: SimStorageOptions): Promise<StorageEngine> {
  const folder = join(options.home, "volumes")
  const imageFolder = join(options.home, "images", "records")
  for (const path of [folder, imageFolder]) {
    await mkdir(path, { recursive: true })
    await sweepTemporary(path)
  }
  const volumes = openRecords(folder)
  const images = openRecords(imageFolder)
  const keys = await openKeyRing(keyFolder(options.home))
  for (const { id, sizeBytes } of options.images ?? [])
    if (!(await images.read(id))) await images.write(id, { sizeBytes })
  const turn = createTurns()
  /** Everything that changes something goes one at a time: there are no bytes to wait for. */
  const alone = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    checkId(id)
    return await turn("all", work).catch((error: unknown) => {
      throw storageError(error)
    })
  }
  const volume = async (id: string): Promise<VolumeRecord> => {
    const record = await volumes.read(id)
    if (!record) throw new StorageError("not-found", `no volume ${id}`)
    return record
  }
  const imageSize = async (id: string): Promise<number> => {
    const record = await images.read(id)
    if (!record) throw new StorageError("not-found", `no image ${id}`)
    return record.sizeBytes
  }
  const createVolume = async ({ id, sizeBytes, image, key: name }: VolumeSpec): Promise<void> => {
    checkSize(sizeBytes)
    if (image !== undefined) checkId(image)
    if (name !== undefined) checkId(name)
    const known = await volumes.read(id)
    if (known && known.sizeBytes === sizeBytes && known.image === image && known.key?.name === name) return
    if (known) throw new StorageError("conflict", `volume ${id} exists with another size, image or key`)
    const needed = image === undefined ? 0 : await imageSize(image)
    if (sizeBytes < needed) throw new StorageError("invalid", `image ${image} needs a volume of ${needed} bytes`)
    await volumes.write(id, {
      sizeBytes,
      ...(image === undefined ? {} : { image }),
      ...(name === undefined ? {} : { key: { name, wrapped: (await keys.create(name, id)).wrapped } }),
    })
  }
  const removeImage = async (id: string): Promise<void> => {
    for (const volume of await volumes.list()) {
      if ((await volumes.read(volume))?.image === id) throw new StorageError("in-use", `volumes stand on image ${id}`)
    }
    await images.remove(id)
  }
  return {
    name: "sim",
    importImage: (id, path) =>
      alone(id, async () => {
        if (await images.read(id)) return
        const header = await readHeader(path)
        if (header.backing) throw new StorageError("invalid", "the image has a backing file")
        await images.write(id, { sizeBytes: header.sizeBytes })
      }),
    hasImage: async (id) => {
      checkId(id)
      return (await images.read(id)) !== undefined
    },
    removeImage: (id) => alone(id, () => removeImage(id)),
    imageSize: (id) => alone(id, () => imageSize(id)),
    createVolume: (spec) => alone(spec.id, () => createVolume(spec)),
    hasVolume: async (id) => {
      checkId(id)
      return (await volumes.read(id)) !== undefined
    },
    inspectVolume: (id) => alone(id, async () => ({ sizeBytes: (await volume(id)).sizeBytes, allocatedBytes: 0 })),
    listVolumes: () => volumes.list(),
    removeVolume: (id) =>
      alone(id, async () => {
        await volumes.remove(id)
      }),
    present: (id, uid) =>
      alone(id, async () => {
        if (!Number.isSafeInteger(uid) || uid < 0 || uid >= 2 ** 32 - 1)
          throw new StorageError("invalid", `bad uid ${uid}`)
        const { key } = await volume(id)
        const dataKey = key && (await keys.unwrap(key.name, id, key.wrapped))
        const file = { path: join(folder, `${id}.json`), format: "raw" } as const
        return dataKey ? { ...file, secret: () => dataKey.toString("hex") } : file
      }),
    release: async (id) => checkId(id),
    close: async () => {},
  }
}
