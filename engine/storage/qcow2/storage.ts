/**
 * Volumes as qcow2 files under a home:
 *
 *     <home>/images/<id>/disk.qcow2   0644 root, in folders of mode 0755: every guest may read, none may write
 *     <home>/volumes/<id>.qcow2       0600, owned by root or, while presented, by the guest's uid; the folder is 0711
 *     <home>/volumes/<id>.json        0600 root: size and image, since the volume's own header is the guest's to write, and the wrapped data key
 *     <home>/snapshots/<id>.qcow2     0600 root, in a folder of 0700, with a record beside it: an account's own disks, which no guest opens
 *     <home>/host/keys/<name>.key     0600 root, in a folder of 0700: what wraps data keys
 *
 * The home and what is above it must be traversable (o+x) by guests' uids. A volume's backing file is written as a relative path.
 */
import { constants } from "node:fs"
import { chmod, chown, copyFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { StorageError, checkId, checkSize, storageError } from "../errors.ts"
import { isAbsent, sweepTemporary, syncPath, temporaryPath, unlinkIfThere, writeWhole } from "../files.ts"
import { keyFolder, openKeyRing } from "../key-ring.ts"
import { openRecords } from "../records.ts"
import { createTurns } from "../turns.ts"
import type { PresentedVolume, StorageEngine, VolumeSpec } from "../types.ts"
import { exists, type Home, imagePath, imageSize, snapshotPath, volumePath } from "./home.ts"
import { encryptQcow2 } from "./luks.ts"
import { createQcow2, inspectQcow2 } from "./qemu-img.ts"
import { createSnapshots, fillFromSnapshot, hasSnapshot, removeSnapshot, requireSnapshot } from "./snapshots.ts"

/** Opens (or makes) the storage of a home and removes what a killed process left half done. Errors are StorageError. */
export async function openQcow2Storage(options: { readonly home: string }): Promise<StorageEngine> {
  const home = await openHome(options.home).catch(rethrow)
  const onVolume = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    checkId(id)
    return await home.turn(`volume ${id}`, work).catch(rethrow)
  }
  const onImage = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    checkId(id)
    return await home.turn(`image ${id}`, work).catch(rethrow)
  }
  return {
    name: "qcow2",
    importImage: (id, path) => onImage(id, () => importImage(home, id, path)),
    hasImage: async (id) => {
      checkId(id)
      return await exists(imagePath(home, id))
    },
    removeImage: (id) => onImage(id, () => removeImage(home, id)),
    imageSize: async (id) => {
      checkId(id)
      return await imageSize(home, id)
    },
    createVolume: (spec) => onVolume(spec.id, () => createVolume(home, spec)),
    hasVolume: async (id) => {
      checkId(id)
      return await exists(volumePath(home, id))
    },
    inspectVolume: (id) => onVolume(id, () => inspectVolume(home, id)),
    listVolumes: async () =>
      (await readdir(home.volumes))
        .filter((name) => /^[a-z0-9].*\.qcow2$/.test(name))
        .map((name) => name.slice(0, -".qcow2".length)),
    createSnapshots: (specs, still) => createSnapshots(home, specs, still).catch(rethrow),
    hasSnapshot: async (id) => {
      checkId(id)
      return await hasSnapshot(home, id)
    },
    listSnapshots: () => home.snapshotRecords.list(),
    removeSnapshot: (id) => removeSnapshot(home, id).catch(rethrow),
    removeVolume: (id) => onVolume(id, () => removeVolume(home, id)),
    present: (id, uid) => onVolume(id, () => present(home, id, uid)),
    release: (id) => onVolume(id, () => release(home, id)),
    close: async () => {},
  }
}

async function openHome(directory: string): Promise<Home> {
  const images = join(directory, "images")
  const volumes = join(directory, "volumes")
  const snapshots = join(directory, "snapshots")
  for (const [folder, mode] of [
    [images, 0o755],
    [volumes, 0o711],
    [snapshots, 0o700],
  ] as const) {
    await mkdir(folder, { recursive: true })
    await chmod(folder, mode)
    await sweepTemporary(folder)
  }
  const [records, snapshotRecords] = [openRecords(volumes), openRecords(snapshots)]
  const keys = await openKeyRing(keyFolder(directory))
  const shared = { records, snapshotRecords, keys, turn: createTurns() }
  const home = { images, volumes, snapshots, ...shared, going: new Set<string>(), making: new Map() }
  await forgetRemoved(home)
  return home
}

/** Killed in the middle of a removal or a creation: a record without a file keeps a data key for nothing. */
async function forgetRemoved(home: Home): Promise<void> {
  for (const id of await home.records.list()) if (!(await exists(volumePath(home, id)))) await home.records.remove(id)
  for (const id of await home.snapshotRecords.list()) if (!(await hasSnapshot(home, id))) await removeSnapshot(home, id)
}

async function importImage(home: Home, id: string, path: string): Promise<void> {
  const target = imagePath(home, id)
  if (await exists(target)) return
  await inspectQcow2(path)
  await mkdir(dirname(target), { recursive: true, mode: 0o755 })
  // A copy that shares blocks where the file system can: whoever holds the original open cannot change ours.
  await writeWhole(target, async (temporary) => {
    await copyFile(path, temporary, constants.COPYFILE_FICLONE)
    await chmod(temporary, 0o644)
    // Looked at again: the original may have been exchanged in between.
    await inspectQcow2(temporary)
  })
}

async function removeImage(home: Home, id: string): Promise<void> {
  const folder = join(home.images, id)
  if (!(await exists(folder))) return
  home.going.add(id)
  try {
    const users = (home.making.get(id) ?? 0) > 0 || (await isImageUsed(home, id))
    if (users) throw new StorageError("in-use", `volumes stand on image ${id}`)
    // Away under one name in one step, so that no half image is ever seen.
    const grave = temporaryPath(home.images)
    await rename(folder, grave)
    await syncPath(home.images)
    await rm(grave, { recursive: true })
    await removeTemplates(home, id)
  } finally {
    home.going.delete(id)
  }
}

async function isImageUsed(home: Home, image: string): Promise<boolean> {
  for (const id of await home.records.list()) {
    const record = await home.records.read(id)
    if (record?.image === image && (await exists(volumePath(home, id)))) return true
  }
  return false
}

async function createVolume(home: Home, spec: VolumeSpec): Promise<void> {
  const { id, sizeBytes, image, snapshot, key } = spec
  checkSize(sizeBytes)
  for (const each of [image, snapshot, key]) if (each !== undefined) checkId(each)
  if (await exists(volumePath(home, id))) {
    const record = await home.records.read(id)
    const from = record?.image === image && record?.snapshot === snapshot
    if (record?.sizeBytes === sizeBytes && from && record.key?.name === key) return
    throw new StorageError("conflict", `volume ${id} exists with another size, image, snapshot or key`)
  }
  if (snapshot !== undefined) {
    await requireSnapshot(home, snapshot, spec)
    return await makeVolume(home, spec)
  }
  if (image === undefined) return await makeVolume(home, spec)
  if (home.going.has(image)) throw new StorageError("not-found", `no image ${image}`)
  home.making.set(image, (home.making.get(image) ?? 0) + 1)
  try {
    const needed = await imageSize(home, image)
    if (sizeBytes < needed) throw new StorageError("invalid", `image ${image} needs a volume of ${needed} bytes`)
    await makeVolume(home, spec)
  } finally {
    const left = (home.making.get(image) ?? 1) - 1
    if (left > 0) home.making.set(image, left)
    else home.making.delete(image)
  }
}

/** The record first: a volume that is there has one. A record alone means nothing and is written over. */
async function makeVolume(home: Home, { id, sizeBytes, image, snapshot, key: name }: VolumeSpec): Promise<void> {
  const template = snapshot === undefined ? await volumeTemplate(home, sizeBytes, image) : undefined
  const made = name === undefined ? undefined : { name, ...(await home.keys.create(name, id)) }
  const record = {
    sizeBytes,
    ...(image === undefined ? {} : { image }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(made && { key: { name: made.name, wrapped: made.wrapped } }),
  }
  const recorded = home.records.write(id, record)
  // Told below, by whoever waits for it.
  recorded.catch(() => {})
  try {
    await writeWhole(volumePath(home, id), async (temporary) => {
      if (snapshot !== undefined) return await fillFromSnapshot(home, snapshot, temporary, sizeBytes, made?.dataKey)
      await copyFile(template!, temporary)
      await chmod(temporary, 0o600)
      if (made) await encryptQcow2(temporary, made.dataKey.toString("hex"))
      // The disk takes both in the time of one.
      await Promise.all([recorded, syncPath(temporary)])
    })
  } catch (error) {
    await recorded.catch(() => {})
    await home.records.remove(id)
    throw error
  }
  if (snapshot !== undefined && !made) await home.records.write(id, { ...record, copiedNs: await changedNs(home, id) })
}

const changedNs = async (home: Home, id: string) => `${(await stat(volumePath(home, id), { bigint: true })).mtimeNs}`

/** Empty volumes of one size and image are the same bytes: qemu-img makes them once, a copy takes a tenth of the time. */
async function volumeTemplate(home: Home, sizeBytes: number, image?: string): Promise<string> {
  const path = join(home.volumes, `.template-${sizeBytes}${image === undefined ? "" : `-${image}`}`)
  return await home.turn(path, async () => {
    if (await exists(path)) return path
    const backing = image === undefined ? undefined : `../images/${image}/disk.qcow2`
    // A qemu-img that outlives us makes nothing once its folder was swept.
    const folder = temporaryPath(home.volumes)
    await mkdir(folder, { mode: 0o700 })
    try {
      await createQcow2(join(folder, "new"), sizeBytes, backing)
      await writeWhole(path, (temporary) => rename(join(folder, "new"), temporary))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    return path
  })
}

async function removeTemplates(home: Home, image: string): Promise<void> {
  for (const name of await readdir(home.volumes)) {
    if (/^\.template-\d+-/.test(name) && name.replace(/^\.template-\d+-/, "") === image) {
      await unlinkIfThere(join(home.volumes, name))
    }
  }
}

async function inspectVolume(home: Home, id: string): Promise<{ sizeBytes: number; allocatedBytes: number }> {
  const facts = await stat(volumePath(home, id)).catch(missingVolume(id))
  const record = await home.records.read(id)
  if (!record) throw new StorageError("failed", `volume ${id} has lost its record`)
  return { sizeBytes: record.sizeBytes, allocatedBytes: facts.blocks * 512 }
}

async function removeVolume(home: Home, id: string): Promise<void> {
  const there = await unlinkIfThere(volumePath(home, id))
  if ((await home.records.remove(id)) || there) await syncPath(home.volumes)
}

async function present(home: Home, id: string, uid: number): Promise<PresentedVolume> {
  if (!Number.isSafeInteger(uid) || uid < 0 || uid >= 2 ** 32 - 1) throw new StorageError("invalid", `bad uid ${uid}`)
  const { image, snapshot, copiedNs, key } = (await home.records.read(id)) ?? {}
  const dataKey = key === undefined ? undefined : await home.keys.unwrap(key.name, id, key.wrapped)
  await give(home, id, uid)
  const untouched = copiedNs !== undefined && (await changedNs(home, id)) === copiedNs
  const isCopy = untouched && snapshot !== undefined && (await hasSnapshot(home, snapshot))
  return {
    path: volumePath(home, id),
    ...(isCopy ? { copyOf: snapshotPath(home, snapshot) } : {}),
    format: "qcow2",
    ...(image === undefined ? {} : { backing: { path: imagePath(home, image), format: "qcow2" } }),
    ...(dataKey && { secret: () => dataKey.toString("hex") }),
  }
}

async function release(home: Home, id: string): Promise<void> {
  if (await exists(volumePath(home, id))) await give(home, id, 0)
}

async function give(home: Home, id: string, uid: number): Promise<void> {
  await chown(volumePath(home, id), uid, uid).catch(missingVolume(id))
  await chmod(volumePath(home, id), 0o600)
}

function missingVolume(id: string): (error: unknown) => never {
  return (error) => {
    if (isAbsent(error)) throw new StorageError("not-found", `no volume ${id}`)
    throw error
  }
}

function rethrow(error: unknown): never {
  throw storageError(error)
}
