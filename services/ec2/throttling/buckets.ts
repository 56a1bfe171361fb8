/** Token buckets: each holds so many tokens, and gets so many back in a second, until it is full. */
import type { Clock } from "#lib/clock.ts"
import type { Limit } from "./limits.ts"

export interface Take {
  readonly bucket: string
  readonly limit: Limit
  readonly tokens: number
}

interface Level {
  readonly limit: Limit
  tokens: number
  atMs: number
}

/** Buckets that are not full, before those that have filled up meanwhile are forgotten. */
const manyBuckets = 10_000
/** What adding up fractions may leave short of a whole token. */
const rounding = 1e-6

/** A function that takes all of the tokens asked for, or none where one bucket has too few. In real time: who is refused waits in it. */
export function createBuckets(clock: Pick<Clock, "monotonicMs">): (takes: readonly Take[]) => boolean {
  const levels = new Map<string, Level>()
  let forgetAt = manyBuckets
  const fill = (level: Level, nowMs: number): void => {
    const { size, perSecond } = level.limit
    level.tokens = Math.min(size, level.tokens + ((nowMs - level.atMs) / 1000) * perSecond)
    level.atMs = nowMs
  }
  const forgetFull = (nowMs: number): void => {
    for (const [bucket, level] of levels) {
      fill(level, nowMs)
      if (level.tokens === level.limit.size) levels.delete(bucket)
    }
    forgetAt = Math.max(manyBuckets, levels.size * 2)
  }
  return (takes) => {
    const nowMs = clock.monotonicMs()
    if (levels.size >= forgetAt) forgetFull(nowMs)
    const wanted = takes.map(({ bucket, limit, tokens }) => {
      const level = levels.get(bucket) ?? { limit, tokens: limit.size, atMs: nowMs }
      fill(level, nowMs)
      return { bucket, level, tokens }
    })
    if (wanted.some(({ level, tokens }) => level.tokens + rounding < tokens)) return false
    for (const { bucket, level, tokens } of wanted) {
      level.tokens -= tokens
      levels.set(bucket, level)
    }
    return true
  }
}
