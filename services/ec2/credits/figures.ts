/**
 * What each burstable type earns: the table of "Key concepts and definitions for burstable performance instances" (credits earned per
 * hour; the most that can be accrued is what 24 hours earn), and "Standard mode concepts" (launch credits, what a stop leaves).
 */
import type { CpuAccount } from "#host/protocol/types.ts"
import { type CpuCredits, familyOf } from "./families.ts"

const ofT3: Readonly<Record<string, number>> = {
  nano: 6,
  micro: 12,
  small: 24,
  medium: 24,
  large: 36,
  xlarge: 96,
  "2xlarge": 192,
}
const perHour: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  t2: { nano: 3, micro: 6, small: 12, medium: 24, large: 36, xlarge: 54, "2xlarge": 81.6 },
  t3: ofT3,
  t3a: ofT3,
  t4g: ofT3,
}

const accruedHours = 24
const weekMs = 7 * 24 * 3_600_000
/** For each vCPU, of a T2 instance in standard mode, at each start. */
const launchCredits = 30

/**
 * How a host accounts for the CPU of an instance. Undefined for types that are not burstable, and for those whose figures are not
 * published: they compute as they like.
 */
export function cpuAccountOf(type: string, vcpus: number, option: CpuCredits | undefined): CpuAccount | undefined {
  const family = familyOf(type)
  const figures = Object.hasOwn(perHour, family) ? perHour[family] : undefined
  const size = type.slice(family.length + 1)
  if (figures === undefined || !Object.hasOwn(figures, size) || option === undefined) return undefined
  const earned = figures[size] ?? 0
  return {
    perHour: earned,
    most: earned * accruedHours,
    atStart: family === "t2" && option === "standard" ? launchCredits * vcpus : 0,
    keptMs: family === "t2" ? 0 : weekMs,
    surplus: option === "unlimited",
  }
}
