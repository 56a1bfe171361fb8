/** The few fields of a qcow2 file that matter before any parser of QEMU's sees it. */
import { open } from "node:fs/promises"
import { StorageError } from "./errors.ts"

/**
 * Size and kind of a file that may be hostile. Throws `not-found`, and `invalid` for what is no qcow2 with its data inside.
 * https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
 */
export async function readHeader(path: string): Promise<{ readonly sizeBytes: number; readonly backing: boolean }> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new StorageError("not-found", `${path} cannot be read`, { cause: error })
  })
  try {
    const header = Buffer.alloc(80)
    const { bytesRead } = await file.read(header, 0, header.length, 0)
    if (bytesRead < 72 || header.readUInt32BE(0) !== 0x514649fb)
      throw new StorageError("invalid", `${path} is no qcow2`)
    const version = header.readUInt32BE(4)
    if (version !== 2 && version !== 3) throw new StorageError("invalid", `${path} is qcow2 version ${version}`)
    // Incompatible feature bit 2: the data lies in another file.
    const external = version === 3 && (header.readUInt32BE(76) & 4) !== 0
    if (external) throw new StorageError("invalid", `${path} keeps its data in another file`)
    return { sizeBytes: Number(header.readBigUInt64BE(24)), backing: header.readBigUInt64BE(8) !== 0n }
  } finally {
    await file.close()
  }
}
