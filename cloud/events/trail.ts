/**
 * The record of calls that CloudTrail shows: who, when, what, from where, and how it went. It stands beside the store, in its history, so that
 * a read stays a read; the last half second of it may be lost with the machine.
 */
import { hash } from "node:crypto"
import type { Clock } from "#lib/clock.ts"
import type { History, HistoryPlace, PlacedEntry } from "#store/history/open.ts"
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

/** Where an event stands in a trail: in which row of the history, and where in that. */
export interface EventPlace extends HistoryPlace {
  readonly index: number
}

export interface PlacedEvent {
  readonly place: EventPlace
  readonly atMs: number
  readonly event: CallEvent
}

export interface Scope {
  readonly account: string
  readonly region: string
}

/** A call as it is taken. It is kept as it is until it is written: what asks for nothing costs nothing. */
export interface TrailCall {
  readonly requestId: string
  readonly service: string
  readonly operation: string
  readonly region: string
  readonly caller: {
    readonly account: string
    readonly accessKeyId: string
    readonly arn: string
    readonly userId: string
  }
  readonly sourceAddress: string
  readonly userAgent: string
  /** The error's; empty when it went well. */
  readonly code: string
  readonly message: string
}

export interface Trail {
  /** Takes a call of now. Never throws and never waits. */
  record(call: TrailCall): void
  /** Newest first, some 500 or fewer, of `fromMs` <= time < `toMs`; goes on behind `before`. `next`: where to go on, where there may be older ones. */
  read(
    scope: Scope,
    fromMs: number,
    toMs: number,
    before?: EventPlace,
  ): Promise<{ readonly events: readonly PlacedEvent[]; readonly next?: EventPlace }>
  reset(): Promise<void>
  close(): Promise<void>
}

/** How long an event is kept, as CloudTrail's event history. */
export const keptMs = 90 * 86_400_000
const longestText = 250
/** Calls stand together in a row, since writing a row costs ten times what a call in it does. With the longest texts it has 60 K. */
const callsInRow = 64
const rowsAtOnce = 8
/** Calls that wait to be written; more are lost. */
const mostWaiting = 20_000
const flushMs = 250
/** A row stands at the time of its last call: its first one may be so much earlier, of cloud time that may run fast. */
const longestRowMs = 3_600_000

interface Waiting {
  readonly atMs: number
  readonly call: TrailCall
}

/** What a row holds: a column for each thing said of a call, and callers and operations once. Short, since writing costs by the byte. */
interface Row {
  /** Access key, ARN, user id, source address, user agent. */
  readonly callers: readonly (readonly string[])[]
  /** Service and operation. */
  readonly operations: readonly (readonly string[])[]
  readonly fromMs: number
  /** Milliseconds after `fromMs`. This column and the next three are as long as there are calls. */
  readonly afterMs: readonly number[]
  readonly caller: readonly number[]
  readonly operation: readonly number[]
  /** A line for each: joining strings that were put together a moment ago is quicker than quoting them. */
  readonly requestIds: string
  /** Index of the call, code and message. */
  readonly errors: readonly (readonly [index: number, code: string, message: string])[]
}

/** `open` is called with the first flush, so that a start does not wait for it. What cannot be written is lost, and said to `log`. */
export function createTrail(
  open: () => Promise<History>,
  clock: Pick<Clock, "cloudMs">,
  log: (message: string, error: unknown) => void,
): Trail {
  let opening: Promise<History> | undefined
  let waiting: Waiting[] = []
  let timer: NodeJS.Timeout | undefined
  const opened = (): Promise<History> => {
    opening ??= open()
    opening.catch(() => (opening = undefined))
    return opening
  }
  let ready: History | undefined
  const flush = async (): Promise<History> => {
    clearTimeout(timer)
    timer = undefined
    ready = await opened()
    write(ready)
    return ready
  }
  const write = (history: History): void => {
    const batch = waiting
    waiting = []
    const [first] = batch
    if (batch.length <= callsInRow && first && batch.every((each) => isSameScope(each, first)))
      return append(history, seriesOf(scopeOf(first)), batch)
    for (const [series, some] of Map.groupBy(batch, (each) => seriesOf(scopeOf(each)))) {
      for (let at = 0; at < some.length; at += callsInRow) {
        append(history, series, some.slice(at, at + callsInRow))
      }
    }
  }
  const lost = (error: unknown) => log("the record of calls cannot be written", error)
  const flushSoon = () => void flush().catch(lost)
  const writeRow = (history: History): void => {
    try {
      write(history)
    } catch (error) {
      lost(error)
    }
  }
  return {
    record(call) {
      if (waiting.length >= mostWaiting) return
      waiting.push({ atMs: clock.cloudMs(), call })
      // A row at a time: what waits longer is moved about by the garbage collector, which costs more than writing it down.
      if (ready && waiting.length >= callsInRow) return writeRow(ready)
      timer ??= setTimeout(flushSoon, flushMs).unref()
    },
    async read(scope, fromMs, toMs, before) {
      const history = await flush()
      // The row in which the last page ended is read again: it stands just before the next one in this order.
      const above = before && { atMs: before.atMs, id: before.id + 1 }
      const rows = await history.readBack(seriesOf(scope), fromMs, toMs + longestRowMs, rowsAtOnce, above)
      const events = rows.flatMap(eventsOf).filter(({ atMs, place }) => {
        const isBehind = !before || place.id !== before.id || place.index < before.index
        return atMs >= fromMs && atMs < toMs && isBehind
      })
      const last = rows.at(-1)
      const isLast = rows.length < rowsAtOnce || last === undefined
      return { events, ...(isLast ? {} : { next: { id: last.id, atMs: last.atMs, index: 0 } }) }
    },
    async reset() {
      waiting = []
      await (await opening)?.reset()
    },
    async close() {
      if (waiting.length > 0) await flush().catch(() => undefined)
      clearTimeout(timer)
      await (await opening?.catch(() => undefined))?.close()
    },
  }
}

const scopeOf = ({ call: { caller, region } }: Waiting): Scope => ({ account: caller.account, region })
const isSameScope = (one: Waiting, other: Waiting) =>
  one.call.region === other.call.region && one.call.caller.account === other.call.caller.account
const seriesOf = ({ account, region }: Scope) => `calls ${account} ${region}`
/** Texts of strangers, cut to what a line may hold. */
const cut = (text: string) => (text.length > longestText ? text.slice(0, longestText).toWellFormed() : text)

/** As one row, or as two where one would be too long. */
function append(history: History, series: string, some: readonly Waiting[]): void {
  try {
    history.append(series, some.at(-1)?.atMs ?? 0, rowOf(some))
  } catch (error) {
    if (!(error instanceof TypeError) || some.length < 2) throw error
    const half = some.length >> 1
    append(history, series, some.slice(0, half))
    append(history, series, some.slice(half))
  }
}

function rowOf(some: readonly Waiting[]): Json {
  const callers: TrailCall[] = []
  const operations: TrailCall[] = []
  const errors: [number, string, string][] = []
  const fromMs = some[0]?.atMs ?? 0
  const afterMs: number[] = []
  const caller: number[] = []
  const operation: number[] = []
  const requestIds: string[] = []
  for (const [index, { atMs, call }] of some.entries()) {
    afterMs.push(Math.round(atMs - fromMs))
    caller.push(placeOf(call, callers, isSameCaller))
    operation.push(placeOf(call, operations, isSameOperation))
    requestIds.push(call.requestId)
    if (call.code !== "") errors.push([index, cut(call.code), cut(call.message)])
  }
  const textsOf = ({ caller: { accessKeyId, arn, userId }, sourceAddress, userAgent }: TrailCall) =>
    [accessKeyId, arn, userId, sourceAddress, userAgent].map(cut)
  return {
    callers: callers.map(textsOf),
    operations: operations.map(({ service, operation }) => [service, operation]),
    fromMs,
    afterMs,
    caller,
    operation,
    requestIds: requestIds.join("\n"),
    errors,
  }
}

/** Where its like stands among those known; it is added when it is new. */
function placeOf(call: TrailCall, known: TrailCall[], isSame: (one: TrailCall, other: TrailCall) => boolean): number {
  const at = known.findLastIndex((other) => isSame(call, other))
  return at < 0 ? known.push(call) - 1 : at
}

const isSameOperation = (one: TrailCall, other: TrailCall): boolean =>
  one.operation === other.operation && one.service === other.service

const isSameCaller = (one: TrailCall, other: TrailCall): boolean =>
  one.userAgent === other.userAgent &&
  one.sourceAddress === other.sourceAddress &&
  one.caller.accessKeyId === other.caller.accessKeyId &&
  one.caller.arn === other.caller.arn &&
  one.caller.userId === other.caller.userId

/** The calls of a row, newest first. */
function eventsOf({ id, atMs: rowMs, detail }: PlacedEntry): readonly PlacedEvent[] {
  const row = detail as unknown as Row
  // A home that is older may have rows of another form: they are passed over.
  if (typeof row.requestIds !== "string") return []
  const errors = new Map(row.errors.map(([index, code, message]) => [index, { code, message }]))
  return row.requestIds
    .split("\n")
    .map((requestId, index) => {
      const [accessKeyId = "", arn = "", userId = "", sourceAddress = "", userAgent = ""] =
        row.callers[row.caller[index] ?? 0] ?? []
      const [service = "", operation = ""] = row.operations[row.operation[index] ?? 0] ?? []
      const who = { accessKeyId, arn, userId, sourceAddress, userAgent }
      const event = { eventId: eventIdOf(requestId), requestId, service, operation, ...who, ...errors.get(index) }
      return { place: { id, atMs: rowMs, index }, atMs: row.fromMs + (row.afterMs[index] ?? 0), event }
    })
    .toReversed()
}

/** An id of its own that need not be kept: it follows from the request's. */
function eventIdOf(requestId: string): string {
  const digits = hash("sha256", `event of ${requestId}`, "hex")
  const [a, b, c, d, e] = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(13, 16),
    digits.slice(17, 20),
    digits.slice(20, 32),
  ]
  return `${a}-${b}-4${c}-a${d}-${e}`
}
