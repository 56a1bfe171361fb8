/** The few data types of RFC 4251 section 5 that key files are made of, and the two public key formats we know. */
import { createPublicKey, type KeyObject } from "node:crypto"

export type KeyType = "rsa" | "ed25519"

/** A length of four bytes, then the bytes. */
export function sshString(value: string | Buffer): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** A number that is not negative, from its big-endian bytes: shortest form, a zero byte before a set top bit. */
export function sshNumber(bigEndian: Buffer): Buffer {
  let from = 0
  while (from < bigEndian.length && bigEndian[from] === 0) from++
  const digits = bigEndian.subarray(from)
  return sshString((digits[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits)
}

/** The public key as SSH sends it (RFC 4253 section 6.6, RFC 8709). */
export function publicBlob(key: KeyObject): Buffer {
  const { n, e, x } = key.export({ format: "jwk" })
  if (typeof x === "string") return Buffer.concat([sshString("ssh-ed25519"), sshString(fromBase64Url(x))])
  if (typeof n !== "string" || typeof e !== "string") throw new TypeError("neither an rsa nor an ed25519 key")
  return Buffer.concat([sshString("ssh-rsa"), sshNumber(fromBase64Url(e)), sshNumber(fromBase64Url(n))])
}

/** The other way round; undefined for bytes that are no rsa or ed25519 key, whole and nothing after it. */
export function readPublicBlob(blob: Buffer): KeyObject | undefined {
  const [type, ...fields] = readStrings(blob) ?? []
  const [first, second] = fields
  if (type?.toString("latin1") === "ssh-ed25519" && fields.length === 1 && first?.length === 32)
    return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x: first.toString("base64url") } })
  if (type?.toString("latin1") !== "ssh-rsa" || fields.length !== 2 || !first || !second) return undefined
  if (!isPositive(first) || !isPositive(second)) return undefined
  return createPublicKey({
    format: "jwk",
    key: { kty: "RSA", e: first.toString("base64url"), n: stripZeros(second).toString("base64url") },
  })
}

function readStrings(bytes: Buffer): readonly Buffer[] | undefined {
  const found: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) return undefined
    found.push(bytes.subarray(at + 4, end))
    at = end
  }
  return found
}

const isPositive = (number: Buffer) => number.length > 0 && ((number[0] ?? 0) & 0x80) === 0
const stripZeros = (number: Buffer) => number.subarray(number.findIndex((byte) => byte !== 0))
export const fromBase64Url = (text: string) => Buffer.from(text, "base64url")
