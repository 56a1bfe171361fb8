/** DNS messages from guests: read with suspicion, answered in few shapes. */
import {
  decode,
  encode,
  type Answer,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  AUTHORITATIVE_ANSWER,
} from "dns-packet"

export interface Question {
  readonly name: string
  readonly type: string
}

export const rcodes = { ok: 0, formatError: 1, failure: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const

/** Longest query that is read: a name of 255 bytes, and the options of a few resolvers. */
export const maxQueryBytes = 1232

export type Query =
  | { readonly kind: "query"; readonly question: Question; readonly packet: Packet }
  | { readonly kind: "malformed"; readonly rcode: number }
  /** Not even a header, or an answer: never answered, or two servers would talk for ever. */
  | { readonly kind: "noise" }

const responseFlag = 0x8000
const opcodeBits = 0x7800

export function readQuery(message: Buffer): Query {
  if (message.length < 12 || message.length > maxQueryBytes) return { kind: "noise" }
  const flags = message.readUInt16BE(2)
  if (flags & responseFlag) return { kind: "noise" }
  if (flags & opcodeBits) return { kind: "malformed", rcode: rcodes.notImplemented }
  // One question, no answers, no authorities, at most the EDNS record.
  const counts = [4, 6, 8, 10].map((offset) => message.readUInt16BE(offset))
  if (counts[0] !== 1 || counts[1] !== 0 || counts[2] !== 0 || (counts[3] ?? 0) > 1) {
    return { kind: "malformed", rcode: rcodes.formatError }
  }
  try {
    const packet = decode(message)
    const question = packet.questions?.[0]
    if (question === undefined || question.class !== "IN") return { kind: "malformed", rcode: rcodes.refused }
    return { kind: "query", question: { name: question.name, type: question.type }, packet }
  } catch {
    return { kind: "malformed", rcode: rcodes.formatError }
  }
}

/** Our own answer to a query that was read. */
export function answerTo(packet: Packet, rcode: number, answers: Answer[] = []): Buffer {
  const desired = (packet.flags ?? 0) & RECURSION_DESIRED
  return encode({
    type: "response",
    id: packet.id ?? 0,
    flags: RECURSION_AVAILABLE | AUTHORITATIVE_ANSWER | desired | rcode,
    questions: packet.questions ?? [],
    answers,
  })
}

/** An error to a message that could not be read: its id and a code, nothing of its content. */
export function errorTo(message: Buffer, rcode: number): Buffer {
  const answer = Buffer.alloc(12)
  message.copy(answer, 0, 0, 2)
  answer.writeUInt16BE(responseFlag | (message.readUInt16BE(2) & (opcodeBits | 0x0100)) | 0x0080 | rcode, 2)
  return answer
}

/** Where the question ends: the part of an upstream's answer that must be the query's own. */
export function questionOf(message: Buffer): Buffer | undefined {
  let offset = 12
  while (offset < message.length) {
    const length = message[offset] ?? 0
    if (length > 63) return undefined
    offset += length + 1
    if (length === 0) return offset + 4 <= message.length ? message.subarray(12, offset + 4) : undefined
  }
  return undefined
}

/** The same message under another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

/** True when `answer` is one, to this question, under this id. Case is the asker's game: servers may or may not keep it. */
export function belongs(answer: Buffer, id: number, question: Buffer): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & responseFlag) === 0) return false
  const theirs = questionOf(answer)
  return theirs !== undefined && theirs.toString("latin1").toLowerCase() === question.toString("latin1").toLowerCase()
}

const truncatedFlag = 0x0200

export const isTruncated = (answer: Buffer) => (answer.readUInt16BE(2) & truncatedFlag) !== 0

/** What a guest may get by UDP: what it said it takes (EDNS), or 512 bytes. */
export function udpLimit({ additionals = [] }: Packet): number {
  const [options] = additionals
  return Math.max(512, options?.type === "OPT" ? options.udpPayloadSize : 0)
}

/** An answer that fits `maxBytes`: itself, or its head and question with the mark that there is more, by TCP. */
export function fitted(answer: Buffer, maxBytes: number): Buffer {
  const question = questionOf(answer)
  if (answer.length <= maxBytes || question === undefined) return answer
  const short = Buffer.from(answer.subarray(0, 12 + question.length))
  short.writeUInt16BE(short.readUInt16BE(2) | truncatedFlag, 2)
  short.writeUInt16BE(1, 4)
  short.fill(0, 6, 12)
  return short
}

/** With its length before it, as DNS goes over streams. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(message.length)
  return Buffer.concat([head, message])
}

/** Takes what came over a stream, gives the messages that are whole. Throws when one is said to be longer than `maxBytes`. */
export function unframer(maxBytes: number): (chunk: Buffer) => Buffer[] {
  let received = Buffer.alloc(0)
  return (chunk) => {
    received = Buffer.concat([received, chunk])
    const messages: Buffer[] = []
    while (received.length >= 2) {
      const length = received.readUInt16BE(0)
      if (length > maxBytes) throw new Error("longer than any message here")
      if (received.length < 2 + length) break
      messages.push(received.subarray(2, 2 + length))
      received = received.subarray(2 + length)
    }
    return messages
  }
}
