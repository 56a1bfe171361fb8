/**
 * Public keys that callers bring, and fingerprints. Follows ImportKeyPair ("OpenSSH public key format, base64 encoded DER, RFC 4716";
 * rsa of 1,024, 2,048 or 4,096 bits, or ed25519) and "Verify the fingerprint of your key pair" of the EC2 user guide.
 */
import { createHash, createPublicKey, type KeyObject } from "node:crypto"
import { raise } from "../errors.ts"
import { type KeyType, publicBlob, readPublicBlob } from "./ssh-wire.ts"

/** More than any key of 4,096 bits needs, comment and headers with it. */
const maxBytes = 16_384
const rsaLengths = new Set([1024, 2048, 4096])
const base64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^[A-Za-z0-9+/]{2}==$/

/** Reads key material in any of the three forms. Throws InvalidKey.Format. */
export function readPublicKey(material: Uint8Array): KeyObject {
  if (material.length > maxBytes) throw raise("InvalidKey.Format")
  const text = Buffer.from(material).toString("latin1").trim()
  const key = orUndefined(() => {
    if (text.startsWith("---- BEGIN SSH2 PUBLIC KEY ----")) return fromRfc4716(text)
    if (text.startsWith("ssh-")) return fromOpenSsh(text)
    return fromDer(text)
  })
  if (key === undefined || !isSupported(key)) throw raise("InvalidKey.Format")
  return key
}

/** Node's crypto throws for bytes that are no key; to us that is one answer like any other. */
function orUndefined(read: () => KeyObject | undefined): KeyObject | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function isSupported(key: KeyObject): boolean {
  if (key.asymmetricKeyType === "ed25519") return true
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  return (
    key.asymmetricKeyType === "rsa" &&
    rsaLengths.has(modulusLength) &&
    publicExponent >= 3n &&
    publicExponent % 2n === 1n
  )
}

function fromOpenSsh(line: string): KeyObject | undefined {
  const [type, body = "", ...comment] = line.split(/[ \t]+/)
  if (/[\r\n]/.test(comment.join(" ")) || !base64.test(body)) return undefined
  const key = readPublicBlob(Buffer.from(body, "base64"))
  return key !== undefined && type === sshNameOf(key) ? key : undefined
}

function fromRfc4716(text: string): KeyObject | undefined {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1)?.trim() !== "---- END SSH2 PUBLIC KEY ----") return undefined
  const body: string[] = []
  let inHeader = false
  for (const line of lines.slice(1, -1)) {
    const isHeader: boolean = inHeader || line.includes(":")
    inHeader = isHeader && line.endsWith("\\")
    if (!isHeader) body.push(line.trim())
  }
  const joined = body.join("")
  return base64.test(joined) ? readPublicBlob(Buffer.from(joined, "base64")) : undefined
}

function fromDer(text: string): KeyObject | undefined {
  const joined = text.replace(/\s+/g, "")
  if (!base64.test(joined)) return undefined
  return createPublicKey({ key: Buffer.from(joined, "base64"), format: "der", type: "spki" })
}

export function typeOf(key: KeyObject): KeyType {
  return key.asymmetricKeyType === "rsa" ? "rsa" : "ed25519"
}
const sshNameOf = (key: KeyObject) => (typeOf(key) === "rsa" ? "ssh-rsa" : "ssh-ed25519")

/** A line for `authorized_keys`. `comment` must not hold line breaks. */
export function toAuthorizedKey(key: KeyObject, comment: string): string {
  return `${sshNameOf(key)} ${publicBlob(key).toString("base64")} ${comment}`
}

/** ed25519: SHA-256 of the SSH blob, base64. rsa that came from outside: MD5 of the public key's DER. */
export function importedFingerprint(key: KeyObject): string {
  if (typeOf(key) === "ed25519") return createHash("sha256").update(publicBlob(key)).digest("base64")
  return pairs(
    createHash("md5")
      .update(key.export({ type: "spki", format: "der" }))
      .digest(),
  )
}

/** ed25519 as for an imported one. rsa that we made: SHA-1 of the private key's PKCS #8 DER. */
export function createdFingerprint(publicKey: KeyObject, privateKey: KeyObject): string {
  if (typeOf(publicKey) === "ed25519") return importedFingerprint(publicKey)
  return pairs(
    createHash("sha1")
      .update(privateKey.export({ type: "pkcs8", format: "der" }))
      .digest(),
  )
}

const pairs = (digest: Buffer) => digest.toString("hex").replace(/..(?!$)/g, "$&:")
