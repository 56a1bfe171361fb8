/**
 * Answers that may be given again. Every request is still read and its signature checked; what is saved is reading the form, the
 * handler, and writing the XML. Nobody can tell the difference: an answer counts only for the very same request of the same
 * caller, and only while the revision of all that answers could show is the one it was made at.
 */
import type { Caller } from "../types.ts"

export interface KeptAnswer {
  readonly operation: string
  readonly pieces: readonly Buffer[]
  readonly sizeBytes: number
  /** Where its request id stands in the first piece. */
  readonly idAt: number
}

export interface AnswerCache {
  /** Whether any answer of this revision is kept. */
  has(revision: number | undefined): boolean
  find(key: string, revision: number): KeptAnswer | undefined
  /** Keeps an answer made wholly at that revision, if it is small enough and holds its request id once. */
  keep(key: string, revision: number, operation: string, pieces: readonly Buffer[], requestId: string): void
}

export interface AnswerCacheLimits {
  readonly bytes: number
  readonly entries: number
}

const defaultLimits: AnswerCacheLimits = { bytes: 16 * 1024 * 1024, entries: 1000 }
/** Longer requests are rare, and comparing them costs what the cache would save. */
export const maxKeyedBytes = 2048

/** Under which name an answer is kept; undefined for requests that are better answered anew. */
export function answerKey(
  caller: Caller,
  service: string,
  region: string,
  query: string,
  body: Buffer,
): string | undefined {
  // A presigned query names its signature, so it would hardly come twice.
  if (query !== "" || body.length === 0 || body.length > maxKeyedBytes) return undefined
  // Neither a key, a service nor a region can hold a line feed. latin1: different bytes are different keys.
  return `${caller.accessKeyId}\n${service}\n${region}\n${body.toString("latin1")}`
}

/** Bounded: the oldest answers go first, all of them as soon as one of another revision is kept. */
export function createAnswerCache(limits: AnswerCacheLimits = defaultLimits): AnswerCache {
  const answers = new Map<string, KeptAnswer>()
  let sizeBytes = 0
  let current = -1
  const drop = (key: string, answer: KeptAnswer): void => {
    answers.delete(key)
    sizeBytes -= answer.sizeBytes
  }
  return {
    has: (revision) => revision === current,
    find: (key, revision) => (revision === current ? answers.get(key) : undefined),
    keep(key, revision, operation, pieces, requestId) {
      const idAt = pieces[0]?.indexOf(requestId) ?? -1
      const isElsewhere = pieces.some((piece, index) => piece.includes(requestId, index === 0 ? idAt + 1 : 0))
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
      if (idAt < 0 || isElsewhere || size > limits.bytes / 2) return
      if (revision !== current) {
        answers.clear()
        sizeBytes = 0
        current = revision
      }
      const old = answers.get(key)
      if (old) drop(key, old)
      answers.set(key, { operation, pieces, sizeBytes: size, idAt })
      sizeBytes += size
      for (const [oldest, answer] of answers) {
        if (sizeBytes <= limits.bytes && answers.size <= limits.entries) break
        drop(oldest, answer)
      }
    },
  }
}

/** Copies are cut from slabs: a buffer of its own for each costs the allocator and the collector more than the copying. */
const slabBytes = 1024 * 1024
let slab = Buffer.alloc(0)
let used = 0

function copyOf(piece: Buffer): Buffer {
  if (used + piece.length > slab.length) {
    slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, piece.length))
    used = 0
  }
  const copy = slab.subarray(used, used + piece.length)
  used += piece.length
  piece.copy(copy)
  return copy
}

const empty = Buffer.alloc(0)

/** The answer's first piece with another request id, which is as long as the one it was made with. */
export function withRequestId(answer: KeptAnswer, requestId: string): Buffer {
  const piece = copyOf(answer.pieces[0] ?? empty)
  piece.write(requestId, answer.idAt, "latin1")
  return piece
}
