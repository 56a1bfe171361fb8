/**
 * Short bodies that do not come. Where streams are served, Node's own deadline for a request is hours, and those that take the long way have
 * a timer each; the short way is too short for one: all its requests share one.
 */
import type { IncomingMessage } from "node:http"
import type { Clock } from "#lib/clock.ts"

type Request = Pick<IncomingMessage, "complete" | "destroy">

/** A request that is waited for; of one that is done, nothing. */
interface Begun {
  request: Request | undefined
  readonly sinceMs: number
}

export interface LateBodies {
  begin(request: Request): Begun
  /** Need not be said of one that is complete. */
  done(begun: Begun): void
}

/** Those that are done are dropped when so many more have begun: cheaper for each than to be found and taken out. */
const sweptAtOnce = 64

/** Cuts the connection of a request that is not done in time. */
export function createLateBodies(deadlineMs: number, clock: Pick<Clock, "monotonicMs">): LateBodies {
  // In the order in which they began.
  let begun: Begun[] = []
  let sweepAt = sweptAtOnce
  let timer: NodeJS.Timeout | undefined
  const sweep = (): void => {
    begun = begun.filter(({ request }) => request && !request.complete)
    sweepAt = begun.length + sweptAtOnce
  }
  const look = (): void => {
    const nowMs = clock.monotonicMs()
    sweep()
    for (const one of begun) {
      if (nowMs - one.sinceMs < deadlineMs) break
      one.request?.destroy()
      one.request = undefined
    }
    sweep()
    if (begun.length > 0) return
    clearInterval(timer)
    timer = undefined
  }
  return {
    begin(request) {
      if (begun.length >= sweepAt) sweep()
      const one = { request, sinceMs: clock.monotonicMs() }
      begun.push(one)
      timer ??= setInterval(look, Math.min(1000, deadlineMs)).unref()
      return one
    },
    done: (one) => void (one.request = undefined),
  }
}
