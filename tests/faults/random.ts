/** Random choices that a seed repeats. */

export interface Random {
  /** An integer from 0 up to, not including, `below`. */
  below(below: number): number
  pick<T>(values: readonly T[]): T
  /** True once in `of` times. */
  once(of: number): boolean
}

/** Mulberry32: small, fast and good enough to vary tests. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, pick: (values) => values[below(values.length)] as never, once: (of) => below(of) === 0 }
}

/** The seed of a run: `usual`, so that a run says the same each time; of the environment; or with "new" there a new one. */
export function seedFrom(name: string, usual: number): number {
  const given = process.env[name] ?? usual
  return given === "new" ? Math.floor(Math.random() * 2 ** 31) : Number(given)
}

/** A count of the environment, else what a test run takes. */
export function countFrom(name: string, usual: number): number {
  const given = Number(process.env[name] ?? usual)
  if (!Number.isInteger(given) || given < 1) throw new Error(`${name} is not a count`)
  return given
}
