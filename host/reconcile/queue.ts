/**
 * One queue for all resources: never two passes over one resource at a time, newer wishes replace older ones, few passes
 * in flight, and a failure is tried again after a pause that doubles.
 */
import type { Spec, Status } from "../protocol/types.ts"
import type { Log, Timer } from "../types.ts"
import { troubleOf, type Outcome } from "./steps.ts"

/** What the host knows of one resource. `wish` undefined: it should be absent. */
export interface Entry {
  readonly resource: string
  readonly kind: Spec["kind"]
  generation: number
  wish: Spec | undefined
  /** The last thing known of it, reported or not. */
  status: Status | undefined
  /** Set once a volume or network is there; of a network, itself and its groups and ports in force: id -> JSON. */
  applied: ReadonlyMap<string, string> | undefined
  /** The network that a group belongs to. */
  network: string | undefined
  /** Volumes, networks and ports that a guest's process may hold; undefined: not looked yet. */
  holds: ReadonlySet<string> | undefined
  readonly work: Work
}

type Lane = "starts" | "others"

interface Work {
  settled: boolean
  running: boolean
  /** The lane in which it waits for its turn, and since when. */
  queued: { readonly lane: Lane; readonly sinceMs: number } | undefined
  /** Asked for while running. */
  again: boolean
  /** The next pass, or the one at work, is a look that nothing asked for. */
  routine: boolean
  /** A trouble that only a new wish ends. */
  final: boolean
  failures: number
  waitsFor: string | undefined
  /** What changed during the pass: waiting for that would be waiting for the past. */
  readonly woken: Set<string>
  cancelTimer: (() => void) | undefined
}

export interface QueueOptions {
  /** `waitedMs`: for its turn. */
  readonly reconcile: (entry: Entry, superseded: () => boolean, waitedMs: number) => Promise<Outcome>
  readonly failed: (entry: Entry, error: unknown) => void
  readonly gone: (entry: Entry) => void
  /** Which of the two lanes a pass takes: starts of guests have their own, narrower one. */
  readonly lane: (entry: Entry) => Lane
  readonly limits: { readonly starts: number; readonly others: number }
  readonly backoffMs: { readonly first: number; readonly longest: number }
  readonly timer: Timer
  readonly log: Log
}

export type Queue = ReturnType<typeof createQueue>

export function newEntry(resource: string, kind: Spec["kind"]): Entry {
  const work: Work = {
    settled: true,
    running: false,
    queued: undefined,
    again: false,
    routine: false,
    final: false,
    failures: 0,
    waitsFor: undefined,
    woken: new Set(),
    cancelTimer: undefined,
  }
  return {
    resource,
    kind,
    generation: 0,
    wish: undefined,
    status: undefined,
    applied: undefined,
    network: undefined,
    holds: undefined,
    work,
  }
}

export function createQueue(options: QueueOptions) {
  const { limits, backoffMs, timer } = options
  const lanes = { starts: [] as Entry[], others: [] as Entry[] }
  const busy = { starts: 0, others: 0 }
  const waiting = new Set<Entry>()
  const inFlight = new Set<Entry>()
  let unsettled = 0
  let closed = false
  let idlers: (() => void)[] = []
  let closers: (() => void)[] = []

  const settle = (entry: Entry, settled: boolean) => {
    if (entry.work.settled === settled) return
    entry.work.settled = settled
    unsettled += settled ? -1 : 1
  }

  /** Look at an entry again. `quiet`: a routine look that does not count as pending. */
  function kick(entry: Entry, quiet = false): void {
    const { work } = entry
    if (closed) return
    if (quiet && (work.final || !work.settled)) return
    if (!quiet) {
      settle(entry, false)
      work.final = false
    }
    work.cancelTimer?.()
    work.cancelTimer = undefined
    waiting.delete(entry)
    work.routine = quiet && (work.routine || !(work.queued || work.running))
    if (work.running) work.again = true
    else enter(entry)
  }

  /** Who waits already keeps the place, unless the wish is another now: what is to end does not wait behind starts. */
  function enter(entry: Entry): void {
    const { work } = entry
    const lane = options.lane(entry)
    if (work.queued?.lane === lane) return
    leave(entry)
    work.queued = { lane, sinceMs: performance.now() }
    lanes[lane].push(entry)
    pump()
  }

  function leave(entry: Entry): void {
    if (!entry.work.queued) return
    const line = lanes[entry.work.queued.lane]
    line.splice(line.indexOf(entry), 1)
    entry.work.queued = undefined
  }

  /** How many wait before it for a turn of the same sort; undefined when it does not wait for that. */
  function before(entry: Entry): number | undefined {
    return entry.work.queued && lanes[entry.work.queued.lane].indexOf(entry)
  }

  /** `resource` changed: whoever waits for it is looked at again. */
  function wake(resource: string): void {
    for (const entry of inFlight) entry.work.woken.add(resource)
    const waiters = Array.from(waiting).filter((entry) => entry.work.waitsFor === resource)
    for (const entry of waiters) kick(entry)
  }

  function pump(): void {
    if (closed) return
    for (const lane of ["starts", "others"] as const) {
      while (busy[lane] < limits[lane] && lanes[lane].length > 0) void pass(lanes[lane].shift()!, lane)
    }
  }

  async function pass(entry: Entry, lane: Lane): Promise<void> {
    const { work } = entry
    const { generation } = entry
    const superseded = () => closed || entry.generation !== generation
    const waitedMs = performance.now() - (work.queued?.sinceMs ?? 0)
    work.queued = undefined
    work.waitsFor = undefined
    work.running = true
    work.again = false
    work.woken.clear()
    inFlight.add(entry)
    busy[lane] += 1
    let outcome: Outcome | undefined
    try {
      outcome = await options.reconcile(entry, superseded, waitedMs)
      work.failures = 0
    } catch (error) {
      if (!superseded()) fail(entry, error)
    }
    busy[lane] -= 1
    inFlight.delete(entry)
    work.running = false
    if (!closed) conclude(entry, superseded() ? undefined : outcome)
    pump()
    announce()
  }

  function fail(entry: Entry, error: unknown): void {
    const trouble = troubleOf(error)
    options.log("host: a pass failed", { resource: entry.resource, failures: entry.work.failures, ...trouble })
    entry.work.final = trouble.final
    entry.work.failures += 1
    // A routine look that found trouble makes the resource pending again.
    settle(entry, false)
    options.failed(entry, error)
  }

  function conclude(entry: Entry, outcome: Outcome | undefined): void {
    const { work } = entry
    if (work.again) return kick(entry)
    if (outcome?.kind === "waiting") {
      if (work.woken.has(outcome.resource)) return kick(entry)
      work.waitsFor = outcome.resource
      waiting.add(entry)
      settle(entry, false)
    } else if (outcome?.kind === "again") later(entry, outcome.delayMs)
    else if (outcome) {
      settle(entry, true)
      if (outcome.kind === "gone") options.gone(entry)
    } else if (work.final) settle(entry, true)
    else later(entry, pauseMs(work.failures))
  }

  function later(entry: Entry, delayMs: number): void {
    settle(entry, false)
    entry.work.cancelTimer = timer(delayMs, () => kick(entry))
  }

  /** Doubles from the first pause on; half of it is chance, so that many failures do not come back at once. */
  function pauseMs(failures: number): number {
    const whole = Math.min(backoffMs.longest, backoffMs.first * 2 ** Math.min(failures - 1, 20))
    return whole * (0.5 + Math.random() / 2)
  }

  function announce(): void {
    if (unsettled === 0) for (const resolve of idlers.splice(0)) resolve()
    if (closed && busy.starts + busy.others === 0) for (const resolve of closers.splice(0)) resolve()
  }

  /** A new wish: forget the failures of the old one. */
  function wished(entry: Entry): void {
    entry.work.failures = 0
    kick(entry)
  }

  return {
    kick,
    wake,
    wished,
    before,
    pending: () => unsettled,
    idle: () => (unsettled === 0 ? Promise.resolve() : new Promise<void>((resolve) => idlers.push(resolve))),
    /** Start nothing more, and wait for the passes in flight: each ends before its next step. */
    async close(entries: Iterable<Entry>): Promise<void> {
      closed = true
      for (const entry of entries) entry.work.cancelTimer?.()
      if (busy.starts + busy.others > 0) await new Promise<void>((resolve) => closers.push(resolve))
    },
  }
}
