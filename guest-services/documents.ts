/** The guests' documents, as the host writes them: `<directory>/<address>.json`, by rename, read again when they changed. */
import { readFileSync, statSync } from "node:fs"
import { isIPv4 } from "node:net"
import { join } from "node:path"
import type { MetadataDocument } from "#host/protocol/types.ts"

/** A document holds at most 16 KB of user-data and a tree of small texts. */
const maxBytes = 512 * 1024
const maxCached = 512

export interface Documents {
  /** The document of the guest that calls from `address`, or undefined: no such guest. */
  of(address: string): MetadataDocument | undefined
}

interface Cached {
  readonly stamp: string
  readonly document: MetadataDocument | undefined
}

function parse(text: string): MetadataDocument | undefined {
  try {
    const value: MetadataDocument | null = JSON.parse(text)
    const complete =
      typeof value?.guest === "string" &&
      typeof value.domainName === "string" &&
      typeof value.tree === "object" &&
      typeof value.hopLimit === "number" &&
      ["optional", "required"].includes(value.tokens)
    // The host writes these; what is not whole is treated as not there rather than served in part.
    return complete ? value : undefined
  } catch {
    return undefined
  }
}

/** Documents in `directory`, the last few hundred kept in memory. Reads are synchronous: small files on a tmpfs. */
export function openDocuments(directory: string): Documents {
  const cache = new Map<string, Cached>()
  return {
    of(address) {
      if (!isIPv4(address)) return undefined
      const path = join(directory, `${address}.json`)
      const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
      if (stat === undefined || !stat.isFile() || stat.size > maxBytes) {
        cache.delete(address)
        return undefined
      }
      const stamp = `${stat.ino}.${stat.mtimeNs}.${stat.size}`
      const known = cache.get(address)
      if (known?.stamp === stamp) return known.document
      const document = parse(readOrEmpty(path))
      cache.delete(address)
      if (cache.size >= maxCached) for (const oldest of [...cache.keys()].slice(0, maxCached / 4)) cache.delete(oldest)
      cache.set(address, { stamp, document })
      return document
    },
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
