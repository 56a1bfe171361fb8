/** Three clocks, injected everywhere: none of our code calls `Date.now()` or `setTimeout` for a decision of its own. */
export interface Clock {
  /** Cloud time in milliseconds since the epoch: launch times, states. May run fast on the sim engine. */
  cloudMs(): number
  /** Wall time in milliseconds since the epoch: signatures, tokens. May step backwards. */
  wallMs(): number
  /** Monotonic milliseconds of the real world, for deadlines and leases. Never steps. */
  monotonicMs(): number
  /** How many cloud seconds pass in one real second: 1 save on sim. */
  readonly speed: number
}

/** The machine's clocks; `speed` makes cloud time run fast from now on. */
export function systemClock(speed = 1): Clock {
  const startWallMs = Date.now()
  const startMs = performance.now()
  return {
    cloudMs: () => (speed === 1 ? Date.now() : startWallMs + (performance.now() - startMs) * speed),
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    speed,
  }
}
