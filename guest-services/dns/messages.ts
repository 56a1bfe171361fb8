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
