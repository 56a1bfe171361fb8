/** Numbers that one owner holds in one scope: addresses of a subnet, interface numbers of a home. */
import { randomInt } from "node:crypto"
import type { Store } from "#store/types.ts"

/**
 * `count` different numbers in [from, to] that nobody holds, or undefined when there are not so many. They are only found, not claimed: the
 * caller claims them in its commit, and a rival's claim makes that commit run again. Drawn at random, so that concurrent calls seldom meet.
 */
export async function findNumbers(
  store: Store,
  scope: string,
  from: number,
  to: number,
  count: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<readonly number[] | undefined> {
  if (to - from + 1 < count) return undefined
  const found = await findSomeNumbers(store, scope, from, to, count, taken)
  return found.length === count ? found : undefined
}

/** The same, but as many as there are where they are fewer. */
export async function findSomeNumbers(
  store: Store,
  scope: string,
  from: number,
  to: number,
  count: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<readonly number[]> {
  const found = new Set<number>()
  for (let round = 0; round < 4 && found.size < count; round++) {
    const candidates = new Set<number>()
    for (let i = 0; i < Math.min(count * 2 + 4, to - from + 1); i++) candidates.add(randomInt(from, to + 1))
    const claims = await store.claims(scope, [...candidates].map(String))
    const held = new Set(claims.map((claim) => Number(claim.key)))
    for (const n of candidates) if (!held.has(n) && !taken.has(n) && found.size < count) found.add(n)
  }
  // Nearly full: take the free ones in order.
  let next: number | undefined = from
  while (found.size < count && next !== undefined && next <= to) {
    next = await store.freeNumber(scope, next, to)
    if (next === undefined) break
    if (!taken.has(next)) found.add(next)
    next++
  }
  return [...found]
}
