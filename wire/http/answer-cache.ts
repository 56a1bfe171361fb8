/**
 * Answers that may be given again. Every request is still read and its signature checked; what is saved is reading the form, the
 * handler, and writing the XML. Nobody can tell the difference: an answer counts only for the very same request of the same
 * caller, and only while the revision of all that answers could show is the one it was made at.
 */
import type { Caller } from "../types.ts"

export interface KeptAnswer {
  readonly operation: string
  /** The first piece up to its request id, one character for each byte, and from there on. */
  readonly before: string
  readonly after: Buffer
  readonly rest: readonly Buffer[]
  readonly sizeBytes: number
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
      const [first = Buffer.alloc(0), ...rest] = pieces
      const idAt = first.indexOf(requestId)
      const after = first.subarray(idAt + requestId.length)
      const isElsewhere = [after, ...rest].some((piece) => piece.includes(requestId))
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
      if (idAt < 0 || isElsewhere || size > limits.bytes / 2) return
      if (revision !== current) {
        answers.clear()
        sizeBytes = 0
        current = revision
      }
      const old = answers.get(key)
      if (old) drop(key, old)
      answers.set(key, { operation, before: first.toString("latin1", 0, idAt), after, rest, sizeBytes: size })
      sizeBytes += size
      for (const [oldest, answer] of answers) {
        if (sizeBytes <= limits.bytes && answers.size <= limits.entries) break
        drop(oldest, answer)
      }
    },
  }
}
