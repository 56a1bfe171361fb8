/** What one guest may take of a service that all share. Everything is bounded, also the memory of who took what. */

import type { Clock } from "#lib/clock.ts"

export interface Bucket {
  /** True when `source` may do one more thing now. */
  take(source: string): boolean
}

/** A token bucket per source: `perSecond` sustained, `burst` at once. Forgets the sources that are full again. */
export function bucketPerSource(perSecond: number, burst: number, clock: Clock, maxSources = 65_536): Bucket {
  const buckets = new Map<string, { level: number; atMs: number }>()
  const refilled = (bucket: { level: number; atMs: number }, nowMs: number) =>
    Math.min(burst, bucket.level + ((nowMs - bucket.atMs) / 1000) * perSecond)
  const forget = (nowMs: number) => {
    for (const [source, bucket] of buckets) if (refilled(bucket, nowMs) >= burst) buckets.delete(source)
  }
  return {
    take(source) {
      const nowMs = clock.monotonicMs()
      if (buckets.size >= maxSources) forget(nowMs)
      const known = buckets.get(source)
      if (known === undefined && buckets.size >= maxSources) return false
      const level = known === undefined ? burst : refilled(known, nowMs)
      buckets.set(source, { level: level >= 1 ? level - 1 : level, atMs: nowMs })
      return level >= 1
    },
  }
}

export interface Gauge {
  /** Undefined when `source`, or all together, hold as many as they may; else a function that gives the place back. */
  enter(source: string): (() => void) | undefined
}

/** Counts what is open at the same time, per source and in all. */
export function gaugePerSource(perSource: number, inAll: number): Gauge {
  const open = new Map<string, number>()
  let total = 0
  return {
    enter(source) {
      const count = open.get(source) ?? 0
      if (count >= perSource || total >= inAll) return undefined
      open.set(source, count + 1)
      total++
      let left = false
      return () => {
        if (left) return
        left = true
        total--
        const now = (open.get(source) ?? 1) - 1
        if (now === 0) open.delete(source)
        else open.set(source, now)
      }
    },
  }
}
