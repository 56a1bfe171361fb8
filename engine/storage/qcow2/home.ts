/** What the parts of the qcow2 driver share: a home's folders, what is in them, who is at it. */
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { StorageError } from "../errors.ts"
import { isAbsent } from "../files.ts"
import type { KeyRing } from "../key-ring.ts"
import { readHeader } from "../qcow2-header.ts"
import type { Records } from "../records.ts"
import type { createTurns } from "../turns.ts"

export interface Home {
  readonly images: string
  readonly volumes: string
  readonly snapshots: string
  readonly records: Records
  readonly snapshotRecords: Records
  readonly keys: KeyRing
  readonly turn: ReturnType<typeof createTurns>
  /** Images that are going: no new volume may start from them. */
  readonly going: Set<string>
  /** Image -> volumes being made from it. */
  readonly making: Map<string, number>
}

export const imagePath = (home: Home, id: string): string => join(home.images, id, "disk.qcow2")
export const volumePath = (home: Home, id: string): string => join(home.volumes, `${id}.qcow2`)
export const snapshotPath = (home: Home, id: string): string => join(home.snapshots, `${id}.qcow2`)

/** In bytes, virtual. Throws `not-found`. */
export async function imageSize(home: Home, id: string): Promise<number> {
  if (!(await exists(imagePath(home, id)))) throw new StorageError("not-found", `no image ${id}`)
  return (await readHeader(imagePath(home, id))).sizeBytes
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}
