/** What the listener says of calls, into the record that CloudTrail shows. */
import { createTrail, keptMs, type Trail } from "#cloud/events/trail.ts"
import type { Clock } from "#lib/clock.ts"
import { isRegion } from "#services/ec2/regions/data.ts"
import type { CallRecord } from "#wire/http/call.ts"
import type { Caller } from "#wire/types.ts"

const maxBytes = 256 * 1024 * 1024

/** The trail of a home: a file beside its store, opened with the first call. */
export function openTrail(directory: string, clock: Clock, log: (message: string, error: unknown) => void): Trail {
  const open = async () => {
    const { openHistory } = await import("#store/history/open.ts")
    return openHistory({ directory, clock, maxAgeMs: keptMs, maxBytes })
  }
  return createTrail(open, clock, log)
}

/** Calls of nobody that is known, of no operation, or for a region that there is not, are not in anybody's history. */
export function recordCall(trail: Trail, call: CallRecord): void {
  const { service, operation } = call
  if (operation === "" || !isKnown(call) || !isRegion(call.region)) return
  // CloudTrail counts calls for objects as data events, which its event history does not have.
  if (service === "s3" && /Object|Part|Multipart/.test(operation)) return
  trail.record(call)
}

type KnownCall = CallRecord & { readonly caller: Caller }
const isKnown = (call: CallRecord): call is KnownCall => call.caller !== undefined
