/** Where metadata documents go: files that only the metadata service reads, or memory on sim. */
import { randomUUID } from "node:crypto"
import { chmod, chown, mkdir, rename, rm, writeFile } from "node:fs/promises"
import { isIPv4 } from "node:net"
import { join } from "node:path"
import type { NetworkDocument, ServedDocument } from "./protocol/types.ts"
import type { MetadataSink } from "./types.ts"

/** The infrastructure address of a port: 100.64.0.0 plus its number (1..4194303). */
export function infraAddress(portNumber: number): string {
  if (!Number.isInteger(portNumber) || portNumber < 1 || portNumber > 0x3fffff) {
    throw new Error(`not a port number: ${portNumber}`)
  }
  return `100.${64 + (portNumber >> 16)}.${(portNumber >> 8) & 255}.${portNumber & 255}`
}

/**
 * One file `<directory>/<address>.json` per port and `<network>.json` per network, replaced by rename so that a reader never sees half of one. The directory is
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
  const pathOfNetwork = (network: string) => {
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(network)) throw new Error(`not a network: ${network}`)
    return join(directory, `${network}.json`)
  }
  async function put(path: string, document: object): Promise<void> {
    const temporary = join(directory, `.${randomUUID()}`)
    try {
      await writeFile(temporary, JSON.stringify(document), { mode: 0o600, flag: "wx" })
      await chown(temporary, owner, gid)
      await chmod(temporary, 0o640)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
  await mkdir(directory, { recursive: true, mode: 0o750 })
  await chown(directory, owner, gid)
  await chmod(directory, 0o750)
  return {
    write: async (address, document) => put(pathOf(address), document),
    remove: async (address) => rm(pathOf(address), { force: true }),
    writeNetwork: async (network, document) => put(pathOfNetwork(network), document),
    removeNetwork: async (network) => rm(pathOfNetwork(network), { force: true }),
  }
}

/** Documents by address and by network, for the sim engine: nobody asks for them over a network. */
export function memoryMetadata(): MetadataSink & {
  readonly documents: ReadonlyMap<string, ServedDocument>
  readonly networks: ReadonlyMap<string, NetworkDocument>
} {
  const documents = new Map<string, ServedDocument>()
  const networks = new Map<string, NetworkDocument>()
  return {
    documents,
    networks,
    write: async (address, document) => void documents.set(address, document),
    remove: async (address) => void documents.delete(address),
    writeNetwork: async (network, document) => void networks.set(network, document),
    removeNetwork: async (network) => void networks.delete(network),
  }
}
