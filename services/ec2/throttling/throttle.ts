/**
 * `up --throttle`: calls beyond what EC2 takes of an account in a region are refused with RequestLimitExceeded, before their handler runs.
 * Refused calls take no tokens.
 */
import type { CallInfo } from "#cloud/call.ts"
import type { Dispatcher } from "#cloud/service.ts"
import type { Clock } from "#lib/clock.ts"
import { raise } from "../errors.ts"
import { createBuckets } from "./buckets.ts"
import { requestLimit, resourceLimit } from "./limits.ts"

/** The same dispatcher behind the buckets. No answer of it is given again from memory, as that would take no token. */
export function throttled(dispatcher: Dispatcher, clock: Pick<Clock, "monotonicMs">): Dispatcher {
  const take = createBuckets(clock)
  return {
    handles: (operation) => dispatcher.handles(operation),
    isPure: () => false,
    async dispatch(operation, input, info) {
      if (!take(takesOf(operation, input, info))) throw raise("RequestLimitExceeded")
      return dispatcher.dispatch(operation, input, info)
    },
  }
}

function takesOf(operation: string, input: object, { caller, region }: CallInfo) {
  const whose = `${caller.account} ${region} `
  const [bucket, limit] = requestLimit(operation, isUnfiltered(input))
  const resources = resourceLimit(operation)
  const takes = [{ bucket: whose + bucket, limit, tokens: 1 }]
  if (resources === undefined) return takes
  // Nobody can ask for more than a full bucket holds: RunInstances makes no more than that either.
  const tokens = Math.min(resources.size, resourcesOf(input))
  return [...takes, { bucket: `${whose}resources of ${operation}`, limit: resources, tokens }]
}

function isUnfiltered(input: object): boolean {
  const { Filters, MaxResults, NextToken } = input as Readonly<Record<string, unknown>>
  const hasFilters = Array.isArray(Filters) && Filters.length > 0
  return !hasFilters && MaxResults === undefined && NextToken === undefined
}

function resourcesOf(input: object): number {
  const { MaxCount, InstanceIds } = input as Readonly<Record<string, unknown>>
  if (typeof MaxCount === "number") return Math.max(0, MaxCount)
  return Array.isArray(InstanceIds) ? InstanceIds.length : 0
}
