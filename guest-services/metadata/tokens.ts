/**
 * Session tokens of IMDSv2. Nothing is kept: a token is its expiry and guest under a key, so it survives a restart of this
 * process, and one guest's token is worthless to another.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Clock } from "#lib/clock.ts"

export const longestTtlSeconds = 21_600

export interface Tokens {
  /** A token of `guest` good for `ttlSeconds` from now. */
  issue(guest: string, ttlSeconds: number): string
  valid(guest: string, token: string): boolean
}

/** Bytes: version, expiry in seconds (6), salt (8), signature (24). */
const [version, headBytes, signatureBytes] = [1, 15, 24]

export function tokensOf(key: Buffer, clock: Clock): Tokens {
  const sign = (head: Buffer, guest: string) =>
    createHmac("sha256", key).update(head).update(guest).digest().subarray(0, signatureBytes)
  return {
    issue(guest, ttlSeconds) {
      const head = Buffer.alloc(headBytes)
      head.writeUInt8(version)
      head.writeUIntBE(Math.floor(clock.wallMs() / 1000) + ttlSeconds, 1, 6)
      randomBytes(8).copy(head, 7)
      return Buffer.concat([head, sign(head, guest)]).toString("base64url")
    },
    valid(guest, token) {
      const bytes = token.length === 52 ? Buffer.from(token, "base64url") : Buffer.alloc(0)
      if (bytes.length !== headBytes + signatureBytes || bytes[0] !== version) return false
      const head = bytes.subarray(0, headBytes)
      if (!timingSafeEqual(bytes.subarray(headBytes), sign(head, guest))) return false
      const left = head.readUIntBE(1, 6) - clock.wallMs() / 1000
      return left > 0 && left <= longestTtlSeconds
    },
  }
}

/**
 * The key in `<directory>/token.key` (32 bytes or more), made when it can be. Without one that can be read or written
 * tokens end with this process, which guests notice as 401 and answer with a new token.
 */
export function readTokenKey(directory: string): Buffer {
  const path = join(directory, "token.key")
  const fresh = randomBytes(32)
  try {
    writeFileSync(path, fresh, { flag: "wx", mode: 0o600, flush: true })
    return fresh
  } catch {
    try {
      const found = readFileSync(path)
      return found.length >= 32 ? found : fresh
    } catch {
      return fresh
    }
  }
}
