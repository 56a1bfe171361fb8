/**
 * The record of calls that CloudTrail shows: who, when, what, from where, and how it went. It stands beside the store, in its history, so that
 * a read stays a read; the last half second of it may be lost with the machine.
 */
import { randomUUID } from "node:crypto"
import type { Clock } from "#lib/clock.ts"
import type { History, HistoryPlace } from "#store/history/open.ts"
import type { Json } from "#store/types.ts"

/** One call. What it was given is not kept: that may be secret. */
export interface CallEvent {
  readonly eventId: string
  readonly requestId: string
  /** Endpoint prefix: "ec2". */
  readonly service: string
  readonly operation: string
  readonly accessKeyId: string
  readonly arn: string
  readonly userId: string
  readonly sourceAddress: string
  readonly userAgent: string
  /** The error's code and message, absent when it went well. */
  readonly code?: string
  readonly message?: string
}

export interface PlacedEvent extends HistoryPlace {
  readonly event: CallEvent
}

export interface Scope {
  readonly account: string
  readonly region: string
}

export interface Trail {
  /** Takes a call of now. Never throws and never waits. */
  record(scope: Scope, call: Omit<CallEvent, "eventId">): void
  /** Newest first, at most `limit`, of `fromMs` <= time < `toMs`; goes on behind `before`. */
  read(
    scope: Scope,
    fromMs: number,
    toMs: number,
    limit: number,
    before?: HistoryPlace,
  ): Promise<readonly PlacedEvent[]>
  reset(): Promise<void>
  close(): Promise<void>
}

/** How long an event is kept, as CloudTrail's event history. */
export const keptMs = 90 * 86_400_000
const longestText = 1000
/** Calls of the first moments, until the history is open. */
const mostWaiting = 10_000

/** `open` is called with the first call, so that a start does not wait for it. What cannot be written is lost, and said to `log` once. */
export function createTrail(
  open: () => Promise<History>,
  clock: Pick<Clock, "cloudMs">,
  log: (message: string, error: unknown) => void,
): Trail {
  let opening: Promise<History> | undefined
  let history: History | undefined
  let waiting: { readonly series: string; readonly atMs: number; readonly event: Json }[] = []
  const opened = (): Promise<History> =>
    (opening ??= open().then((ready) => {
      history = ready
      for (const { series, atMs, event } of waiting) ready.append(series, atMs, event)
      waiting = []
      return ready
    }))
  return {
    record({ account, region }, call) {
      const event = shortened({ eventId: randomUUID(), ...call })
      const series = seriesOf({ account, region })
      if (history) history.append(series, clock.cloudMs(), event)
      else if (waiting.length < mostWaiting) {
        waiting.push({ series, atMs: clock.cloudMs(), event })
        if (!opening) opened().catch((error: unknown) => log("the record of calls cannot be opened", error))
      }
    },
    async read(scope, fromMs, toMs, limit, before) {
      const entries = await (await opened()).readBack(seriesOf(scope), fromMs, toMs, limit, before)
      return entries.map(({ id, atMs, detail }) => ({ id, atMs, event: detail as unknown as CallEvent }))
    },
    async reset() {
      waiting = []
      await (await opening)?.reset()
    },
    async close() {
      const ready = await opening?.catch(() => undefined)
      history = undefined
      await ready?.close()
    },
  }
}

const seriesOf = ({ account, region }: Scope) => `calls ${account} ${region}`

/** Texts of strangers, cut to what a line may hold. */
function shortened(event: CallEvent): Json {
  const entries = Object.entries(event).map(([name, text]) => [name, String(text).slice(0, longestText)] as const)
  return Object.fromEntries(entries)
}
