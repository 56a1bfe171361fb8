/** Volumes as records without bytes: one small JSON file each, so that a daemon finds them again. Needs no privileges. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { StorageError, checkId, checkSize, storageError } from "../errors.ts"
import { sweepTemporary } from "../files.ts"
import { keyFolder, openKeyRing } from "../key-ring.ts"
import { readHeader } from "../qcow2-header.ts"
import { openRecords, type VolumeRecord } from "../records.ts"
import { createTurns } from "../turns.ts"
import type { SnapshotSpec, StorageEngine, VolumeSpec } from "../types.ts"

export interface SimStorageOptions {
  readonly home: string
  /** Images that are there without a file, by the catalog. */
  readonly images?: readonly { readonly id: string; readonly sizeBytes: number }[]
}

/** Opens (or makes) the simulated storage of a home. Errors are StorageError. */
export async function openSimStorage(options: SimStorageOptions): Promise<StorageEngine> {
  const folder = join(options.home, "volumes")
  const imageFolder = join(options.home, "images", "records")
  const snapshotFolder = join(options.home, "snapshots")
  for (const path of [folder, imageFolder, snapshotFolder]) {
    await mkdir(path, { recursive: true })
    await sweepTemporary(path)
  }
  const volumes = openRecords(folder)
  const images = openRecords(imageFolder)
  const snapshots = openRecords(snapshotFolder)
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
  const createVolume = async ({ id, sizeBytes, image, snapshot, key: name }: VolumeSpec): Promise<void> => {
    checkSize(sizeBytes)
    for (const each of [image, snapshot, name]) if (each !== undefined) checkId(each)
    const known = await volumes.read(id)
    const same = known?.sizeBytes === sizeBytes && known.image === image && known.snapshot === snapshot
    if (same && known.key?.name === name) return
    if (known) throw new StorageError("conflict", `volume ${id} exists with another size, image, snapshot or key`)
    const needed = image === undefined ? 0 : await imageSize(image)
    if (sizeBytes < needed) throw new StorageError("invalid", `image ${image} needs a volume of ${needed} bytes`)
    if (snapshot !== undefined) await requireSnapshot(snapshot, { id, sizeBytes, ...(image && { image }) }, name)
    await volumes.write(id, {
      sizeBytes,
      ...(image === undefined ? {} : { image }),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(name === undefined ? {} : { key: { name, wrapped: (await keys.create(name, id)).wrapped } }),
    })
  }
  const readSnapshot = async (id: string): Promise<VolumeRecord> => {
    const record = await snapshots.read(id)
    if (!record) throw new StorageError("not-found", `no snapshot ${id}`)
    return record
  }
  const requireSnapshot = async (id: string, { image, sizeBytes }: VolumeSpec, key: string | undefined) => {
    if (image !== undefined) throw new StorageError("invalid", "a volume is made of an image or of a snapshot")
    const record = await readSnapshot(id)
    if (sizeBytes < record.sizeBytes)
      throw new StorageError("invalid", `snapshot ${id} needs a volume of ${record.sizeBytes} bytes`)
    if (record.key && key === undefined)
      throw new StorageError("invalid", `a volume of the encrypted snapshot ${id} needs a key`)
  }
  const sourceOf = async ({ from }: SnapshotSpec): Promise<VolumeRecord> => {
    checkId(Object.values(from)[0] ?? "")
    if ("image" in from) return { sizeBytes: await imageSize(from.image) }
    return "snapshot" in from ? readSnapshot(from.snapshot) : volume(from.volume)
  }
  const createSnapshot = async (spec: SnapshotSpec, { sizeBytes, key }: VolumeRecord): Promise<void> => {
    if (await snapshots.read(spec.id)) return
    if (key && spec.key === undefined)
      throw new StorageError("invalid", `a snapshot of something encrypted needs a key: ${spec.id}`)
    const made = spec.key !== undefined && { name: spec.key, wrapped: (await keys.create(spec.key, spec.id)).wrapped }
    await snapshots.write(spec.id, { sizeBytes, ...(made && { key: made }) })
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
    createSnapshots: async (specs, still) => {
      for (const { id, key } of specs) for (const each of [id, key]) if (each !== undefined) checkId(each)
      const missing: SnapshotSpec[] = []
      for (const spec of specs) if (!(await snapshots.read(spec.id))) missing.push(spec)
      if (missing.length === 0) return
      await still(() =>
        alone(missing[0]!.id, async () => {
          const sources: VolumeRecord[] = []
          for (const spec of missing) sources.push(await sourceOf(spec))
          for (const [index, spec] of missing.entries()) await createSnapshot(spec, sources[index]!)
        }),
      )
    },
    hasSnapshot: async (id) => {
      checkId(id)
      return (await snapshots.read(id)) !== undefined
    },
    listSnapshots: () => snapshots.list(),
    removeSnapshot: (id) => alone(id, async () => void (await snapshots.remove(id))),
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
