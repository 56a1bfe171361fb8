/** How records of older releases become today's, by kind. The first release has none. */
import type { Upgrades } from "#store/types.ts"

export const upgrades: Upgrades = {}
