/**
 * An account of CPU time, in credits: minutes of one CPU. "Key concepts and definitions for burstable performance instances" in EC2's
 * user guide, and its pages about standard and unlimited mode. Pure; times are cloud times.
 */
import type { CpuAccount } from "../protocol/types.ts"

/** As it is kept in a file. */
export interface Balance {
  /** `starts` of the guest that it is about. */
  readonly starts: number
  /** Up to when it is drawn up. */
  readonly atMs: number
  /** The process whose time was counted last, and how much of it. */
  readonly process: string
  readonly usedMs: number
  readonly earned: number
  /** Given at the start and not yet spent; they are spent first and are no part of the most that can be earned. */
  readonly given: number
  /** Spent beyond what there was, and not yet earned back. */
  readonly surplus: number
  /** Surplus that no earning pays back any more. */
  readonly charged: number
  /** All that was spent since the start. */
  readonly spent: number
}

const minuteMs = 60_000
const hourMs = 3_600_000

/** Hundredths of a CPU that are earned as fast as they are spent. */
export const baselineOf = ({ perHour }: CpuAccount) => (perHour / 60) * 100

export interface Seen {
  readonly nowMs: number
  readonly starts: number
  readonly process: string
  /** CPU time of the process since it began. */
  readonly usedMs: number
}

/**
 * The account of a guest that is seen to run. `before` is what was kept of it: of the same start it goes on, of an earlier one it is
 * taken over as far as the account keeps it. Time between two starts earns nothing.
 */
export function drawUp(account: CpuAccount, before: Balance | undefined, seen: Seen): Balance {
  if (before === undefined || before.starts !== seen.starts) return opened(account, before, seen)
  const usedMs = before.process === seen.process ? Math.max(0, seen.usedMs - before.usedMs) : seen.usedMs
  // A clock that was set back takes nothing away.
  const income = (Math.max(0, seen.nowMs - before.atMs) / hourMs) * account.perHour
  const spent = usedMs / minuteMs
  const now = { ...before, atMs: seen.nowMs, process: seen.process, usedMs: seen.usedMs, spent: before.spent + spent }
  return limited(account, settled(account, now, income - spent))
}

function opened(account: CpuAccount, before: Balance | undefined, seen: Seen): Balance {
  const kept = before !== undefined && seen.nowMs - before.atMs < account.keptMs ? before.earned : 0
  return {
    ...seenIn(seen),
    earned: Math.min(kept, account.most),
    given: account.atStart,
    surplus: 0,
    // A stop charges what was not earned back.
    charged: before === undefined ? 0 : before.charged + before.surplus,
    spent: seen.usedMs / minuteMs,
  }
}

const seenIn = ({ nowMs, starts, process, usedMs }: Seen) => ({ starts, atMs: nowMs, process, usedMs })

/**
 * What comes in pays back surplus first; what goes out is taken from what was given, then from what was earned, then as surplus. Where
 * there is none, what exceeds the account is the little by which a share of CPU was overrun.
 */
function settled({ surplus }: CpuAccount, balance: Balance, change: number): Balance {
  if (change >= 0) {
    const paid = Math.min(balance.surplus, change)
    return { ...balance, surplus: balance.surplus - paid, earned: balance.earned + change - paid }
  }
  const fromGiven = Math.min(balance.given, -change)
  const fromEarned = Math.min(balance.earned, -change - fromGiven)
  return {
    ...balance,
    given: balance.given - fromGiven,
    earned: balance.earned - fromEarned,
    surplus: balance.surplus + (surplus ? -change - fromGiven - fromEarned : 0),
  }
}

/** Without surplus, none is kept: what was is charged, as when an unlimited instance becomes a standard one. */
function limited({ most, surplus }: CpuAccount, balance: Balance): Balance {
  const allowed = surplus ? most : 0
  const charged = Math.max(0, balance.surplus - allowed)
  return {
    ...balance,
    earned: Math.min(balance.earned, most),
    surplus: balance.surplus - charged,
    charged: balance.charged + charged,
  }
}

/**
 * Hundredths of a CPU that may be used in the next `periodMs`, so that the account is not overdrawn in them: all of `whole` while there is
 * enough, from there gradually down to the baseline.
 */
export function shareOf(account: CpuAccount, { earned, given }: Balance, whole: number, periodMs: number): number {
  if (account.surplus) return whole
  const burst = (((earned + given) * minuteMs) / periodMs) * 100
  return Math.min(whole, baselineOf(account) + burst)
}
