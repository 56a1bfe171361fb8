/**
 * Status checks: does a guest answer ARP, can its volumes' disk be written. Asked for all guests of a network at once, so that a round
 * costs a few commands a network, however many guests there are. A simulated guest answers as soon as it is on.
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { GuestChecks } from "../protocol/types.ts"
import type { HostOptions, Log, Timer } from "../types.ts"
import { within } from "./deadline.ts"
import { troubleOf } from "./steps.ts"

export interface CheckTimes {
  /** Pause between two rounds, in which those are asked whose turn it is. */
  readonly roundMs: number
  /** A guest that answered is asked again after this. */
  readonly everyMs: number
  /** One that failed. All others are asked in each round. */
  readonly failedMs: number
  /** It fails when it was silent for so long, asked three times at least. */
  readonly silentMs: number
  /** One that never answered since its start has this long, for its boot. */
  readonly bootMs: number
}
export const checkTimes: CheckTimes = {
  roundMs: 3_000,
  everyMs: 30_000,
  failedMs: 10_000,
  silentMs: 60_000,
  bootMs: 300_000,
}

const leastMisses = 3
/** Networks that are asked side by side. */
const networksAtOnce = 8

/** A guest that is on and in no known trouble. */
export interface CheckedGuest {
  readonly id: string
  /** Another start, reset or process is another run: what was known of the guest counts no more. */
  readonly run: string
  readonly network: string
  /** Its first interface. */
  readonly port: string
}

interface Known {
  readonly run: string
  readonly foundMs: number
  askedMs: number
  answeredMs: number | undefined
  misses: number
  verdict: "passed" | "failed" | undefined
}

export interface ChecksOptions extends Pick<HostOptions, "network" | "clock" | "stateDirectory"> {
  readonly guests: () => readonly CheckedGuest[]
  /** What `of` gives for this guest is another now. */
  readonly changed: (guest: string) => void
  readonly timer: Timer
  readonly log: Log
  readonly times: CheckTimes
}

export type Checks = ReturnType<typeof startChecks>

/** Goes on until `close`. All times are real ones. */
export function startChecks(options: ChecksOptions) {
  const { network, clock, timer, times, guests, changed, log } = options
  const known = new Map<string, Known>()
  const real = network.name !== "sim"
  let disk: "passed" | "failed" = "passed"
  let wroteMs = -Infinity
  let closed = false
  let cancel = () => {}

  const dueAfterMs = ({ verdict, misses }: Known) => {
    if (verdict === "failed") return times.failedMs
    return verdict === "passed" && misses === 0 ? times.everyMs : 0
  }

  function judge(guest: string, each: Known, answers: boolean): void {
    const nowMs = clock.monotonicMs()
    const before = each.verdict
    each.misses = answers ? 0 : each.misses + 1
    if (answers) {
      each.answeredMs = nowMs
      each.verdict = "passed"
    } else {
      const silent = each.answeredMs === undefined ? nowMs - each.foundMs : nowMs - each.answeredMs
      const patience = each.answeredMs === undefined ? times.bootMs : times.silentMs
      if (each.misses >= leastMisses && silent >= patience) each.verdict = "failed"
    }
    if (each.verdict !== before) changed(guest)
  }

  async function ask(id: string, asked: readonly CheckedGuest[]): Promise<void> {
    const answering = await network.answering(
      id,
      asked.map(({ port }) => port),
    )
    for (const guest of asked) {
      const each = known.get(guest.id)
      if (each?.run === guest.run) judge(guest.id, each, answering.has(guest.port))
    }
  }

  /** Fails at the second refusal in a row, which the next round brings. */
  let refused = false
  async function lookAtDisk(): Promise<void> {
    if (!refused && clock.monotonicMs() - wroteMs < times.everyMs) return
    wroteMs = clock.monotonicMs()
    const written = writeFile(join(options.stateDirectory, "writable"), `${clock.wallMs()}\n`, { mode: 0o600 })
    const fault = await within("the disk", times.everyMs, timer, written).then(
      () => undefined,
      (error: unknown) => troubleOf(error).message,
    )
    const verdict = fault === undefined ? "passed" : refused ? "failed" : disk
    refused = fault !== undefined
    if (verdict === disk) return
    disk = verdict
    log("host: status checks", { disk, ...(fault === undefined ? {} : { fault }) })
    for (const { id } of guests()) changed(id)
  }

  async function round(): Promise<void> {
    const nowMs = clock.monotonicMs()
    const present = guests()
    const ids = new Set(present.map(({ id }) => id))
    for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
    const due = present.filter((guest) => {
      let each = known.get(guest.id)
      if (each?.run !== guest.run) {
        each = {
          run: guest.run,
          foundMs: nowMs,
          askedMs: -Infinity,
          answeredMs: undefined,
          misses: 0,
          verdict: undefined,
        }
        known.set(guest.id, each)
      }
      if (nowMs - each.askedMs < dueAfterMs(each)) return false
      each.askedMs = nowMs
      return true
    })
    const byNetwork = [...Map.groupBy(due, (guest) => guest.network)]
    for (let at = 0; at < byNetwork.length; at += networksAtOnce) {
      const some = byNetwork.slice(at, at + networksAtOnce)
      const done = await Promise.allSettled(some.map(([id, asked]) => ask(id, asked)))
      // Who could not be asked did not fail to answer.
      for (const each of done)
        if (each.status === "rejected") log("host: status checks were not asked", { ...troubleOf(each.reason) })
    }
    if (present.length > 0) await lookAtDisk()
  }

  function next(): void {
    cancel = timer(times.roundMs, () => {
      void round()
        .catch((error: unknown) => log("host: status checks", { ...troubleOf(error) }))
        .then(() => closed || next())
    })
  }
  if (real) next()

  return {
    /** What is known of a guest's run. Of one that never answered since this process found it, nothing. */
    of(guest: string, run: string): GuestChecks {
      if (!real) return { instance: "passed", system: "passed" }
      const each = known.get(guest)
      const verdict = each?.run === run ? each.verdict : undefined
      return { ...(verdict === undefined ? {} : { instance: verdict }), system: disk }
    },
    close(): void {
      closed = true
      cancel()
    },
  }
}
