/**
 * The files behind a disk. QEMU is given each of them open, so it has to open none by a name. Which ones is told by whoever made the disk: its
 * header is its guest's to write, whose process, taken over, would have the superuser open any file for it at the next start.
 */
import { closeSync, openSync, readSync } from "node:fs"
import type { Disk } from "../types.ts"

export type Layer = NonNullable<Disk["backing"]>

const qcow2Magic = 0x51_46_49_fb

/** Top first. Throws when a file is missing or is not what it is said to be. */
export function diskChain({ id, path, format, backing }: Omit<Disk, "serial">): readonly Layer[] {
  try {
    check({ path, format }, backing !== undefined)
    if (!backing) return [{ path, format }]
    check(backing, false)
    return [{ path, format }, backing]
  } catch (error) {
    throw new Error(`disk ${id}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Of a qcow2 file (docs/interop/qcow2 of QEMU), whether it says what it should: that it is one, and whether it is an overlay. */
function check({ path, format }: Layer, isOverlay: boolean): void {
  const header = Buffer.alloc(72)
  const fd = openSync(path, "r")
  try {
    readSync(fd, header, 0, header.length, 0)
  } finally {
    closeSync(fd)
  }
  if (format === "raw") {
    if (isOverlay) throw new Error(`${path} is raw and stands on nothing`)
    return
  }
  if (header.readUInt32BE(0) !== qcow2Magic) throw new Error(`${path} is not a qcow2 image`)
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw new Error(`${path} is qcow2 of unknown version ${version}`)
  if (header.readBigUInt64BE(8) > 0n !== isOverlay)
    throw new Error(`${path} ${isOverlay ? "does not say that it is" : "says that it is"} an overlay`)
}
