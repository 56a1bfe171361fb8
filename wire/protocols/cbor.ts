/**
 * CBOR (RFC 8949) as Smithy's RPC v2 uses it. Ours and not @smithy/core's: that one decodes what its own clients made; this one takes
 * hostile bytes, with a depth and nothing allocated that is not there.
 */
import { Fault } from "#lib/fault.ts"

/** A point in time: tag 1 around seconds since the epoch, whole or not. */
export class CborTime {
  readonly seconds: number
  constructor(seconds: number) {
    this.seconds = seconds
  }
}

const deepest = 64
const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The one value that these bytes are. Throws SerializationException for anything else. */
export function decodeCbor(bytes: Buffer): unknown {
  const reader: Source = { bytes, at: 0 }
  const value = readItem(reader, 0)
  if (reader.at !== bytes.length) throw malformed("there are bytes after the value")
  return value
}

interface Source {
  readonly bytes: Buffer
  at: number
}

function readItem(source: Source, depth: number): unknown {
  if (depth > deepest) throw malformed("it is nested too deeply")
  const first = readByte(source)
  const major = first >> 5
  const minor = first & 31
  switch (major) {
    case 0:
      return readArgument(source, minor)
    case 1:
      return -1 - readArgument(source, minor)
    case 2:
      return new Uint8Array(readString(source, minor, major))
    case 3:
      return readText(source, minor)
    case 4:
      return readList(source, minor, depth)
    case 5:
      return readMap(source, minor, depth)
    case 6:
      return readTag(source, minor, depth)
    default:
      return readSimple(source, minor)
  }
}

function readByte(source: Source): number {
  const byte = source.bytes[source.at]
  if (byte === undefined) throw malformed("it ends too early")
  source.at++
  return byte
}

function take(source: Source, sizeBytes: number): Buffer {
  const end = source.at + sizeBytes
  if (end > source.bytes.length) throw malformed("it ends too early")
  const part = source.bytes.subarray(source.at, end)
  source.at = end
  return part
}

/** A whole number that a double holds exactly. */
function readArgument(source: Source, minor: number): number {
  if (minor < 24) return minor
  if (minor === 24) return readByte(source)
  if (minor === 25) return take(source, 2).readUInt16BE()
  if (minor === 26) return take(source, 4).readUInt32BE()
  if (minor !== 27) throw malformed("a length is not well formed")
  const value = take(source, 8).readBigUInt64BE()
  if (value > Number.MAX_SAFE_INTEGER) throw malformed("a number is too large")
  return Number(value)
}

const indefinite = 31
const isBreak = (source: Source): boolean => {
  if (source.bytes[source.at] !== 0xff) return false
  source.at++
  return true
}

function readString(source: Source, minor: number, major: number): Buffer {
  if (minor !== indefinite) return take(source, readArgument(source, minor))
  const parts: Buffer[] = []
  while (!isBreak(source)) {
    const first = readByte(source)
    if (first >> 5 !== major || (first & 31) === indefinite) throw malformed("a string's part is no string")
    parts.push(take(source, readArgument(source, first & 31)))
  }
  return Buffer.concat(parts)
}

function readText(source: Source, minor: number): string {
  const bytes = readString(source, minor, 3)
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed("a text is not valid UTF-8")
  }
}

function readList(source: Source, minor: number, depth: number): unknown[] {
  const items: unknown[] = []
  for (const _ of counted(source, minor)) items.push(readItem(source, depth + 1))
  return items
}

function readMap(source: Source, minor: number, depth: number): object {
  const entries: [string, unknown][] = []
  for (const _ of counted(source, minor)) {
    const first = readByte(source)
    if (first >> 5 !== 3) throw malformed("a key is no text")
    const key = readText(source, first & 31)
    entries.push([key, readItem(source, depth + 1)])
  }
  return Object.fromEntries(entries)
}

/** Turns as often as there are elements: each takes at least a byte, so the bytes bound it. */
function* counted(source: Source, minor: number): Generator<void> {
  if (minor === indefinite) {
    while (!isBreak(source)) yield
    return
  }
  for (let left = readArgument(source, minor); left > 0; left--) yield
}

function readTag(source: Source, minor: number, depth: number): unknown {
  const tag = readArgument(source, minor)
  const value = readItem(source, depth + 1)
  if (tag !== 1) throw malformed(`tag ${tag} is not known`)
  if (typeof value !== "number") throw malformed("a time is no number")
  return new CborTime(value)
}

function readSimple(source: Source, minor: number): unknown {
  if (minor === 20) return false
  if (minor === 21) return true
  if (minor === 22 || minor === 23) return null
  if (minor === 25) return half(take(source, 2).readUInt16BE())
  if (minor === 26) return take(source, 4).readFloatBE()
  if (minor === 27) return take(source, 8).readDoubleBE()
  throw malformed(`simple value ${minor} is not known`)
}

/** IEEE 754 half precision, RFC 8949 appendix D. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent !== 31) return sign * (mantissa + 1024) * 2 ** (exponent - 25)
  return mantissa === 0 ? sign * Infinity : Number.NaN
}

function malformed(why: string): Fault {
  return new Fault("SerializationException", `The CBOR document is malformed: ${why}`)
}

/** Plain values, bytes and times as CBOR, each with a definite length. Throws TypeError for anything else. */
export function encodeCbor(value: unknown): Buffer {
  const parts: Buffer[] = []
  writeItem(value, parts)
  return Buffer.concat(parts)
}

function writeItem(value: unknown, parts: Buffer[]): void {
  if (value === null || value === undefined) parts.push(Buffer.of(0xf6))
  else if (typeof value === "boolean") parts.push(Buffer.of(value ? 0xf5 : 0xf4))
  else if (typeof value === "number") writeNumber(value, parts)
  else if (typeof value === "string") writeBytes(3, Buffer.from(value), parts)
  else if (value instanceof Uint8Array) writeBytes(2, value, parts)
  else if (value instanceof CborTime) {
    parts.push(Buffer.of(0xc1))
    writeNumber(value.seconds, parts)
  } else if (Array.isArray(value)) {
    parts.push(head(4, value.length))
    for (const item of value) writeItem(item, parts)
  } else if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    parts.push(head(5, entries.length))
    for (const [key, item] of entries) {
      writeBytes(3, Buffer.from(key), parts)
      writeItem(item, parts)
    }
  } else throw new TypeError(`CBOR holds no ${typeof value}`)
}

function writeBytes(major: number, bytes: Uint8Array, parts: Buffer[]): void {
  parts.push(head(major, bytes.length), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
}

function writeNumber(value: number, parts: Buffer[]): void {
  if (Number.isSafeInteger(value)) {
    parts.push(value < 0 ? head(1, -1 - value) : head(0, value))
    return
  }
  const double = Buffer.alloc(9, 0xfb)
  double.writeDoubleBE(value, 1)
  parts.push(double)
}

function head(major: number, argument: number): Buffer {
  const type = major << 5
  if (argument < 24) return Buffer.of(type | argument)
  if (argument < 0x100) return Buffer.of(type | 24, argument)
  const wide = argument < 0x10000 ? 2 : argument < 0x100000000 ? 4 : 8
  const bytes = Buffer.alloc(1 + wide)
  bytes[0] = type | (wide === 2 ? 25 : wide === 4 ? 26 : 27)
  if (wide === 8) bytes.writeBigUInt64BE(BigInt(argument), 1)
  else bytes.writeUIntBE(argument, 1, wide)
  return bytes
}
