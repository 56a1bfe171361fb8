/** Documents as the host writes them, by rename, read again when they changed: `<address>.json` a guest's, `<network id>.json` a network's. */
import { readFileSync, statSync } from "node:fs"
import { isIPv4 } from "node:net"
import { join } from "node:path"
import type { NetworkDocument, ServedDocument } from "#host/protocol/types.ts"

/** A guest's holds at most 16 KB of user-data and a tree of small texts; a network's some 35 bytes for each public address. */
const maxBytes = { guest: 512 * 1024, network: 4 << 20 }
const maxCached = 512

export interface Documents {
  /** The document of the guest that calls from `address`, or undefined: no such guest. */
  of(address: string): ServedDocument | undefined
  /** The document of a network, or undefined: nothing is known of it. */
  network(id: string | undefined): NetworkDocument | undefined
}

function parse<T>(text: string, isWhole: (value: Partial<T>) => boolean): T | undefined {
  try {
    const value: T | null = JSON.parse(text)
    // The host writes these; what is not whole is treated as not there rather than served in part.
    return typeof value === "object" && value !== null && isWhole(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isGuest = (value: Partial<ServedDocument>) =>
  typeof value.guest === "string" &&
  typeof value.domainName === "string" &&
  typeof value.tree === "object" &&
  typeof value.hopLimit === "number" &&
  ["optional", "required"].includes(value.tokens ?? "")

const isNetwork = (value: Partial<NetworkDocument>) =>
  typeof value.privateAddresses === "object" && value.privateAddresses !== null

/** Documents in `directory`, the last few hundred kept in memory. Reads are synchronous: small files on a tmpfs. */
export function openDocuments(directory: string): Documents {
  const guests = filesOf<ServedDocument>(directory, maxBytes.guest, isGuest)
  const networks = filesOf<NetworkDocument>(directory, maxBytes.network, isNetwork)
  return {
    of: (address) => (isIPv4(address) ? guests(address) : undefined),
    network: (id) => (id !== undefined && /^[a-z][a-z0-9-]{0,63}$/.test(id) ? networks(id) : undefined),
  }
}

interface Cached<T> {
  readonly stamp: string
  readonly document: T | undefined
}

function filesOf<T>(directory: string, longest: number, isWhole: (value: Partial<T>) => boolean) {
  const cache = new Map<string, Cached<T>>()
  return (name: string): T | undefined => {
    const path = join(directory, `${name}.json`)
    const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
    if (stat === undefined || !stat.isFile() || stat.size > longest) {
      cache.delete(name)
      return undefined
    }
    const stamp = `${stat.ino}.${stat.mtimeNs}.${stat.size}`
    const known = cache.get(name)
    if (known?.stamp === stamp) return known.document
    const document = parse(readOrEmpty(path), isWhole)
    cache.delete(name)
    if (cache.size >= maxCached) for (const oldest of [...cache.keys()].slice(0, maxCached / 4)) cache.delete(oldest)
    cache.set(name, { stamp, document })
    return document
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // Removed between the look and the read.
    return ""
  }
}
