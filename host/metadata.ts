/** Where metadata documents go: files that only the metadata service reads, or memory on sim. */
import { randomUUID } from "node:crypto"
import { chmod, chown, mkdir, rename, rm, writeFile } from "node:fs/promises"
import { isIPv4 } from "node:net"
import { join } from "node:path"
import type { MetadataDocument } from "./protocol/types.ts"
import type { MetadataSink } from "./types.ts"

/** The infrastructure address of a port: 100.64.0.0 plus its number (1..4194303). */
export function infraAddress(portNumber: number): string {
  if (!Number.isInteger(portNumber) || portNumber < 1 || portNumber > 0x3fffff) {
    throw new Error(`not a port number: ${portNumber}`)
  }
  return `100.${64 + (portNumber >> 16)}.${(portNumber >> 8) & 255}.${portNumber & 255}`
}

/**
 * One file `<directory>/<address>.json` per port, replaced by rename so that a reader never sees half of one. The directory is
 * ours; group `gid`, that of the metadata service alone, may list and read it. Keep it on a tmpfs: user-data may hold secrets.
 */
export async function fileMetadata(options: {
  readonly directory: string
  readonly gid: number
}): Promise<MetadataSink> {
  const { directory, gid } = options
  const owner = process.getuid?.() ?? 0
  const pathOf = (address: string) => {
    if (!isIPv4(address)) throw new Error(`not an address: ${address}`)
    return join(directory, `${address}.json`)
  }
  await mkdir(directory, { recursive: true, mode: 0o750 })
  await chown(directory, owner, gid)
  await chmod(directory, 0o750)
  return {
    async write(address, document) {
      const temporary = join(directory, `.${randomUUID()}`)
      try {
        await writeFile(temporary, JSON.stringify(document), { mode: 0o600, flag: "wx" })
        await chown(temporary, owner, gid)
        await chmod(temporary, 0o640)
        await rename(temporary, pathOf(address))
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
    },
    remove: (address) => rm(pathOf(address), { force: true }),
  }
}

/** Documents by address, for the sim engine: nobody asks for them over a network. */
export function memoryMetadata(): MetadataSink & { readonly documents: ReadonlyMap<string, MetadataDocument> } {
  const documents = new Map<string, MetadataDocument>()
  return {
    documents,
    write: (address, document) => Promise.resolve(void documents.set(address, document)),
    remove: (address) => Promise.resolve(void documents.delete(address)),
  }
}
