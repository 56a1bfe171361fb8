/** Checksums of what is uploaded: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import type { StreamBody } from "#wire/types.ts"
import { raise } from "./errors.ts"

export const algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const
export type Algorithm = (typeof algorithms)[number]
/** Value of each algorithm in base64. */
export type Checksums = Partial<Record<Algorithm, string>>

interface Running {
  update(bytes: Uint8Array): void
  /** In base64. */
  value(): string
}

/** Bit-reversed polynomial of Castagnoli. */
const table32c = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** NVM Express's polynomial, bit-reversed 0x9a6c9329ac4bc9b5, in two halves: no numbers of 64 bits in the inner loop. */
const table64 = (() => {
  const high = new Uint32Array(256)
  const low = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n
    high[byte] = Number(value >> 32n)
    low[byte] = Number(value & 0xffffffffn)
  }
  return { high, low }
})()

const base64 = (bytes: Buffer) => bytes.toString("base64")
function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

function start(algorithm: Algorithm): Running {
  if (algorithm === "SHA1" || algorithm === "SHA256") {
    const sum = createHash(algorithm.toLowerCase())
    return { update: (bytes) => void sum.update(bytes), value: () => sum.digest("base64") }
  }
  if (algorithm === "CRC32") {
    let sum = 0
    return { update: (bytes) => void (sum = crc32(bytes, sum)), value: () => base64(word(sum)) }
  }
  if (algorithm === "CRC32C") {
    let sum = 0xffffffff
    const update = (bytes: Uint8Array) => {
      for (const byte of bytes) sum = (table32c[(sum ^ byte) & 255] ?? 0) ^ (sum >>> 8)
    }
    return { update, value: () => base64(word(~sum)) }
  }
  let high = 0xffffffff
  let low = 0xffffffff
  const update = (bytes: Uint8Array) => {
    for (const byte of bytes) {
      const at = (low ^ byte) & 255
      low = (table64.low[at] ?? 0) ^ ((low >>> 8) | (high << 24))
      high = (table64.high[at] ?? 0) ^ (high >>> 8)
    }
  }
  return { update, value: () => base64(Buffer.concat([word(~high), word(~low)])) }
}

type Given = Readonly<Record<string, unknown>>

/** What headers say that the content's checksums are. */
export function saidChecksums(input: object): Checksums {
  const given = input as Given
  const said = algorithms.flatMap((each) => {
    const value = given[`Checksum${each}`]
    return typeof value === "string" ? [[each, value] as const] : []
  })
  return Object.fromEntries(said)
}

/** As members of an answer. */
export function asMembers(checksums: Checksums): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(checksums).map(([name, value]) => [`Checksum${name}`, value]))
}

export interface Checked {
  readonly source: AsyncIterable<Uint8Array>
  /** After the end: the checksums that were asked for, and proven. */
  readonly checksums: Checksums
}

const trailerStart = "x-amz-checksum-"

/**
 * The content, held to its length, to Content-MD5 and to the checksums that its headers or trailers say. It throws at its end, and so before
 * anything is made of it: BadDigest, InvalidDigest, InvalidRequest, IncompleteBody, MalformedTrailerError for one that was announced and did not come.
 */
export function checked(body: StreamBody, input: object): Checked {
  const given = input as Given
  const said = saidChecksums(input)
  const announced = algorithms.filter(
    (each) => each === given["ChecksumAlgorithm"] || body.trailerNames.includes(`${trailerStart}${each.toLowerCase()}`),
  )
  const running = new Map(
    [...new Set([...(Object.keys(said) as Algorithm[]), ...announced])].map((each) => [each, start(each)]),
  )
  const md5 = readMd5(given["ContentMD5"])
  const md5Sum = md5 === undefined ? undefined : createHash("md5")
  const checksums: Checksums = {}
  async function* source(): AsyncGenerator<Uint8Array> {
    let sizeBytes = 0
    for await (const piece of body) {
      sizeBytes += piece.length
      for (const sum of running.values()) sum.update(piece)
      md5Sum?.update(piece)
      yield piece
    }
    if (body.sizeBytes !== undefined && body.sizeBytes !== sizeBytes) throw raise("IncompleteBody")
    if (md5Sum && md5Sum.digest("base64") !== md5) throw raise("BadDigest", { what: "Content-MD5" })
    if (body.trailerNames.some((name) => name.startsWith(trailerStart) && !body.trailers.has(name)))
      throw raise("MalformedTrailerError")
    const wanted = { ...said, ...trailing(body.trailers) }
    for (const [name, value] of Object.entries(wanted) as [Algorithm, string][]) {
      const sum = running.get(name)
      if (!sum) throw raise("InvalidRequest", { detail: "The trailing checksum was not announced by x-amz-trailer" })
      if (sum.value() !== value) throw raise("BadDigest", { what: name })
      checksums[name] = value
    }
  }
  return { source: source(), checksums }
}

function trailing(trailers: ReadonlyMap<string, string>): Checksums {
  const found = algorithms.flatMap((each) => {
    const value = trailers.get(`${trailerStart}${each.toLowerCase()}`)
    return value === undefined ? [] : [[each, value] as const]
  })
  return Object.fromEntries(found)
}

function readMd5(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined
  if (Buffer.from(value, "base64").length !== 16) throw raise("InvalidDigest")
  return value
}

/** The checksum of bytes that are kept already. */
export async function checksumOf(algorithm: Algorithm, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const sum = start(algorithm)
  for await (const piece of bytes) sum.update(piece)
  return sum.value()
}
