/**
 * Keeps the accounts of CPU time of all guests: draws them up every ten seconds, gives each guest the share of CPU that its account
 * allows, and writes them down, so that they outlive this process. What a guest computes while no host looks is counted by the next.
 */
import { readFileSync } from "node:fs"
import { mkdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { CpuTime } from "#engine/hypervisor/types.ts"
import type { CpuAccount, CpuCredits } from "../protocol/types.ts"
import { troubleOf } from "../reconcile/steps.ts"
import type { HostOptions, Log, Timer } from "../types.ts"
import { type Balance, baselineOf, drawUp, shareOf } from "./account.ts"

export const roundMs = 10_000
/** A guest that has just come on, or whose account was changed, is not kept waiting for the next round. */
const soonMs = 200
/** Smaller changes of a share are not worth setting. */
const worthChanging = 0.02

export interface PaidGuest {
  readonly id: string
  readonly account: CpuAccount
  /** Undefined while it is not on. */
  readonly starts: number | undefined
  /** Hundredths of a CPU. */
  readonly whole: number
}

export interface KeeperOptions extends Pick<HostOptions, "hypervisor" | "clock" | "stateDirectory"> {
  readonly bootId: string
  /** Guests that have an account, on or not. Undefined: not all are known yet, so none is taken for gone. */
  readonly guests: () => readonly PaidGuest[] | undefined
  readonly timer: Timer
  readonly log: Log
}

export type CreditKeeper = ReturnType<typeof keepCredits>

/** A share of CPU as it was set last, for one process. */
interface Share {
  readonly process: string
  readonly percent: number
  readonly enforced: boolean
}

/** Goes on until `close`, which writes the accounts down a last time. */
export function keepCredits(options: KeeperOptions) {
  const { hypervisor, clock, timer, log, guests } = options
  const file = join(options.stateDirectory, "credits.json")
  // Simulated guests end with their process, and use nothing.
  const durable = hypervisor.name !== "sim"
  const balances = durable ? readBalances(file, options.bootId) : new Map<string, Balance>()
  const shares = new Map<string, Share>()
  let working: Promise<void> | undefined
  let again = false
  let closed = false
  let cancel = timer(roundMs, round)
  let cancelSoon: (() => void) | undefined

  async function write(): Promise<void> {
    if (!durable) return
    await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 })
    const text = JSON.stringify({ schema: 1, bootId: options.bootId, balances: Object.fromEntries(balances) })
    await writeFile(`${file}.new`, text, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }

  async function pay({ id, account, starts, whole }: PaidGuest, time: CpuTime | undefined): Promise<void> {
    if (starts === undefined || time === undefined) {
      shares.delete(id)
      return
    }
    const balance = drawUp(account, balances.get(id), { ...time, nowMs: clock.cloudMs(), starts })
    balances.set(id, balance)
    const percent = Math.max(1, shareOf(account, balance, whole, roundMs * clock.speed))
    const last = shares.get(id)
    const same = last?.process === time.process && Math.abs(percent - last.percent) <= last.percent * worthChanging
    // All of it is set exactly, however little is missing.
    if (!same || (percent === whole && last?.percent !== whole)) {
      const enforced = await hypervisor.limitCpu(id, percent)
      shares.set(id, { process: time.process, percent, enforced })
    }
  }

  async function payAll(): Promise<void> {
    const present = guests()
    if (present === undefined) return
    const ids = new Set(present.map(({ id }) => id))
    for (const each of [balances, shares]) for (const id of each.keys()) if (!ids.has(id)) each.delete(id)
    if (present.length === 0) return
    const times = await hypervisor.cpuTimes()
    // One that ends just now is not alive any more.
    for (const guest of present) await pay(guest, times.get(guest.id)).catch(() => {})
    await write()
  }

  /** One at a time; what comes meanwhile runs once more. */
  function work(): void {
    if (working !== undefined || closed) {
      again = true
      return
    }
    again = false
    working = payAll()
      .catch((error: unknown) => log("host: accounts of CPU time", { ...troubleOf(error) }))
      .finally(() => {
        working = undefined
        if (again) work()
      })
  }

  function round(): void {
    work()
    if (!closed) cancel = timer(roundMs, round)
  }

  return {
    /** A guest has come on, or has another account. */
    changed(): void {
      cancelSoon ??= timer(soonMs, () => {
        cancelSoon = undefined
        work()
      })
    },
    /** How a guest's account stood at the last look; undefined for one that has none or does not run. */
    of(guest: string, account: CpuAccount | undefined): CpuCredits | undefined {
      const balance = balances.get(guest)
      const share = shares.get(guest)
      if (account === undefined || balance === undefined || share === undefined) return undefined
      const { earned, given, surplus, charged, spent } = balance
      const limits = { baselinePercent: baselineOf(account), limitPercent: share.percent, enforced: share.enforced }
      return { earned, given, surplus, charged, spent, ...limits }
    },
    /** No look is at work. */
    settled: async (): Promise<void> => working,
    async close(): Promise<void> {
      closed = true
      cancel()
      cancelSoon?.()
      await working
      await write()
    },
  }
}

/** Of another boot of the machine every guest is started anew: what was kept is of an earlier start. A file that is broken holds nothing. */
function readBalances(file: string, bootId: string): Map<string, Balance> {
  const { boot, balances } = parsed(file)
  return new Map(balances.map(([id, balance]) => [id, boot === bootId ? balance : { ...balance, starts: -1 }]))
}

function parsed(file: string): { readonly boot?: unknown; readonly balances: readonly [string, Balance][] } {
  try {
    const value: { schema?: unknown; bootId?: unknown; balances?: unknown } = JSON.parse(readFileSync(file, "utf8"))
    if (value.schema !== 1 || typeof value.balances !== "object" || value.balances === null) return { balances: [] }
    return { boot: value.bootId, balances: Object.entries(value.balances).filter(isBalance) }
  } catch {
    return { balances: [] }
  }
}

const numbers = ["starts", "atMs", "usedMs", "earned", "given", "surplus", "charged", "spent"] as const

/** Only we write the file: this tells a whole entry from a broken one. */
function isBalance(entry: [string, unknown]): entry is [string, Balance] {
  const value = new Map(Object.entries(entry[1] ?? {}))
  return typeof value.get("process") === "string" && numbers.every((name) => Number.isFinite(value.get(name)))
}
