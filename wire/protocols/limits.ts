import type { Limits } from "../types.ts"

/** What a request may cost when the daemon's configuration says nothing else. */
export const defaultLimits: Limits = Object.freeze({
  bodyBytes: 1024 * 1024,
  headerBytes: 32 * 1024,
  depth: 16,
  members: 10_000,
  inFlight: 256,
  requestMs: 30_000,
})
