/**
 * Snapshots: disks that stand alone, in a folder that only root opens. A guest never runs on one: volumes are copies, sharing blocks where the
 * file system can, so that a snapshot may go while they stay.
 */
import { constants } from "node:fs"
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { StorageError, checkId } from "../errors.ts"
import { syncPath, temporaryPath, unlinkIfThere } from "../files.ts"
import { readHeader } from "../qcow2-header.ts"
import type { VolumeRecord } from "../records.ts"
import type { SnapshotSpec, Still, VolumeSpec } from "../types.ts"
import { exists, type Home, imagePath, imageSize, snapshotPath, volumePath } from "./home.ts"
import { encryptQcow2 } from "./luks.ts"
import { copyDisk, createQcow2, growQcow2, type Layer } from "./qemu-img.ts"

/** Bytes that nobody writes to any more. */
interface Taken extends Layer {
  readonly sizeBytes: number
}

export const hasSnapshot = (home: Home, id: string): Promise<boolean> => exists(snapshotPath(home, id))

export async function createSnapshots(home: Home, specs: readonly SnapshotSpec[], still: Still): Promise<void> {
  for (const { id, key } of specs) for (const each of [id, key]) if (each !== undefined) checkId(each)
  const wanted: SnapshotSpec[] = []
  for (const spec of specs) if (!(await hasSnapshot(home, spec.id))) wanted.push(spec)
  if (wanted.length === 0) return
  const folder = temporaryPath(home.snapshots)
  await mkdir(folder, { mode: 0o700 })
  try {
    const taken = await still(async () => {
      const all: Taken[] = []
      for (const spec of wanted) all.push(await take(home, spec, join(folder, `${spec.id}.taken`)))
      return all
    })
    const made: VolumeRecord[] = []
    for (const [index, spec] of wanted.entries())
      made.push(await build(home, spec, taken[index]!, join(folder, spec.id)))
    for (const [index, { id }] of wanted.entries()) await home.snapshotRecords.write(id, made[index]!)
    for (const { id } of wanted) await rename(join(folder, id), snapshotPath(home, id))
    await syncPath(home.snapshots)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A volume is copied as it is, which takes as long as what was written to it; the others do not change. */
async function take(home: Home, { from }: SnapshotSpec, path: string): Promise<Taken> {
  if ("image" in from) {
    checkId(from.image)
    return { path: imagePath(home, from.image), sizeBytes: await imageSize(home, from.image) }
  }
  if ("snapshot" in from) {
    checkId(from.snapshot)
    const { sizeBytes, key } = await readRecord(home, from.snapshot)
    return { path: snapshotPath(home, from.snapshot), sizeBytes, ...(await secretOf(home, from.snapshot, key)) }
  }
  checkId(from.volume)
  const record = await home.records.read(from.volume)
  if (!record || !(await exists(volumePath(home, from.volume))))
    throw new StorageError("not-found", `no volume ${from.volume}`)
  const { sizeBytes, image, key } = record
  const secret = await secretOf(home, from.volume, key)
  await copyFile(volumePath(home, from.volume), path, constants.COPYFILE_FICLONE)
  await chmod(path, 0o600)
  // Its guest's process could write to it: only what our record says is believed.
  const header = await readHeader(path)
  if (header.sizeBytes !== sizeBytes || header.backing !== (image !== undefined))
    throw new StorageError("invalid", `the file of volume ${from.volume} is not what was made`)
  return { path, sizeBytes, ...secret, ...(image === undefined ? {} : { backing: imagePath(home, image) }) }
}

async function build(home: Home, { id, key: name }: SnapshotSpec, from: Taken, path: string): Promise<VolumeRecord> {
  const { sizeBytes, secret } = from
  if (secret !== undefined && name === undefined)
    throw new StorageError("invalid", `a snapshot of something encrypted needs a key: ${id}`)
  const made = name === undefined ? undefined : { name, ...(await home.keys.create(name, id)) }
  await fill(from, path, sizeBytes, made?.dataKey)
  await syncPath(path)
  return { sizeBytes, ...(made && { key: { name: made.name, wrapped: made.wrapped } }) }
}

async function fill(from: Layer, path: string, sizeBytes: number, dataKey: Buffer | undefined): Promise<void> {
  const secret = dataKey?.toString("hex")
  await createQcow2(path, sizeBytes)
  await chmod(path, 0o600)
  if (secret !== undefined) await encryptQcow2(path, secret)
  await copyDisk(from, { path, ...(secret === undefined ? {} : { secret }) })
}

/** Throws unless a volume like this can be made of it. */
export async function requireSnapshot(home: Home, id: string, { image, sizeBytes, key }: VolumeSpec): Promise<void> {
  if (image !== undefined) throw new StorageError("invalid", "a volume is made of an image or of a snapshot")
  const record = await readRecord(home, id)
  if (sizeBytes < record.sizeBytes)
    throw new StorageError("invalid", `snapshot ${id} needs a volume of ${record.sizeBytes} bytes`)
  if (record.key !== undefined && key === undefined)
    throw new StorageError("invalid", `a volume of the encrypted snapshot ${id} needs a key`)
}

/** Makes the file of a volume: the snapshot's bytes, and zeroes after them. */
export async function fillFromSnapshot(
  home: Home,
  id: string,
  path: string,
  sizeBytes: number,
  dataKey: Buffer | undefined,
): Promise<void> {
  const record = await readRecord(home, id)
  if (dataKey !== undefined) {
    const secret = await secretOf(home, id, record.key)
    return await fill({ path: snapshotPath(home, id), ...secret }, path, sizeBytes, dataKey)
  }
  await copyFile(snapshotPath(home, id), path, constants.COPYFILE_FICLONE)
  await chmod(path, 0o600)
  if (sizeBytes > record.sizeBytes) await growQcow2(path, sizeBytes)
}

export async function removeSnapshot(home: Home, id: string): Promise<void> {
  checkId(id)
  const there = await unlinkIfThere(snapshotPath(home, id))
  if ((await home.snapshotRecords.remove(id)) || there) await syncPath(home.snapshots)
}

async function readRecord(home: Home, id: string): Promise<VolumeRecord> {
  const record = await home.snapshotRecords.read(id)
  if (!record || !(await hasSnapshot(home, id))) throw new StorageError("not-found", `no snapshot ${id}`)
  return record
}

async function secretOf(home: Home, owner: string, key: VolumeRecord["key"]): Promise<{ readonly secret?: string }> {
  if (key === undefined) return {}
  return { secret: (await home.keys.unwrap(key.name, owner, key.wrapped)).toString("hex") }
}
