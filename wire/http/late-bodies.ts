/**
 * Short bodies that do not come. Where streams are served, Node's own deadline for a request is hours, and those that take the long way have
 * a timer each; the short way is too short for one: all its requests share one.
 */
import type { IncomingMessage } from "node:http"
import type { Clock } from "#lib/clock.ts"

type Request = Pick<IncomingMessage, "complete" | "destroy">

export interface LateBodies {
  begin(request: Request): void
  /** Need not be said of one that is complete. */
  done(request: Request): void
}

/** Cuts the connection of a request that is not done in time. */
export function createLateBodies(deadlineMs: number, clock: Pick<Clock, "monotonicMs">): LateBodies {
  // In the order in which they began.
  const begun = new Map<Request, number>()
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const nowMs = clock.monotonicMs()
    for (const [request, sinceMs] of begun) {
      if (nowMs - sinceMs < deadlineMs) break
      begun.delete(request)
      if (!request.complete) request.destroy()
    }
    if (begun.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
  return {
    begin(request) {
      begun.set(request, clock.monotonicMs())
      timer ??= setInterval(look, Math.min(1000, deadlineMs)).unref()
    },
    done: (request) => void begun.delete(request),
  }
}
