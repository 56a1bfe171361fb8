/** CloudTrail's event history. https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html */
import type * as SDK from "@aws-sdk/client-cloudtrail"
import { createHash } from "node:crypto"
import type { Call, Cloud } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import { type CallEvent, type EventPlace, keptMs, type PlacedEvent, type Trail } from "#cloud/events/trail.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { Input, Operation } from "#wire/typed.ts"
import type { HandlerOf } from "../handler.ts"

type Handler<O extends Operation<typeof SDK>> = HandlerOf<typeof SDK, O>
type Lookup = Input<typeof SDK, "LookupEvents">

export const errors = {
  ...commonErrors,
  InvalidEventCategoryException: [400, "The event category is not valid."],
  InvalidLookupAttributesException: [400, "{detail}"],
  InvalidMaxResultsException: [400, "The maximum number of results must be between 1 and 50."],
  InvalidNextTokenException: [400, "The next token is not valid, or was given for another lookup."],
  InvalidTimeRangeException: [400, "The start time must be before the end time."],
} as const
const raise = defineErrors(errors)

const largestPage = 50
/** Batches of some 500 events that are looked at for one answer, at most; the next page goes on from there. */
const mostBatches = 20

const lookupEvents =
  (trail: Trail): Handler<"LookupEvents"> =>
  async (input, call) => {
    const wanted = readAttributes(input.LookupAttributes ?? [])
    const limit = input.MaxResults ?? largestPage
    if (!Number.isInteger(limit) || limit < 1 || limit > largestPage) throw raise("InvalidMaxResultsException")
    if (input.EventCategory !== undefined && input.EventCategory !== "insight")
      throw raise("InvalidEventCategoryException")
    const fromMs = Math.max(input.StartTime?.getTime() ?? 0, call.nowMs - keptMs)
    // The end is part of the range, to the second.
    const toMs = input.EndTime === undefined ? Number.MAX_VALUE : input.EndTime.getTime() + 1000
    if (input.StartTime !== undefined && input.EndTime !== undefined && input.StartTime > input.EndTime)
      throw raise("InvalidTimeRangeException")
    const mark = markOf(input)
    let before: EventPlace | undefined = readToken(input.NextToken, mark)
    // Nothing here is unusual enough for an insight.
    if (input.EventCategory === "insight") return { Events: [] }
    const found: PlacedEvent[] = []
    for (let batch = 0; batch < mostBatches; batch++) {
      const { events, next } = await trail.read(call, fromMs, toMs, before)
      for (const each of events) {
        if (wanted.every((fits) => fits(each.event))) found.push(each)
        if (found.length === limit) return { Events: found.map(toEvent(call)), NextToken: writeToken(each.place, mark) }
      }
      if (!next) return { Events: found.map(toEvent(call)) }
      before = next
    }
    return { Events: found.map(toEvent(call)), ...(before ? { NextToken: writeToken(before, mark) } : {}) }
  }

type Fits = (event: CallEvent) => boolean

const isReadOnly = ({ operation }: CallEvent) => /^(Describe|Get|List|Lookup|Head|Search|Batch[GD]e)/.test(operation)
const sourceOf = ({ service }: CallEvent) => `${service}.amazonaws.com`
const userNameOf = ({ arn }: CallEvent) => arn.slice(arn.lastIndexOf(":") + 1).replace(/^user\//, "")

const valuesOf: Readonly<Record<string, (event: CallEvent) => string>> = {
  AccessKeyId: ({ accessKeyId }) => accessKeyId,
  EventId: ({ eventId }) => eventId,
  EventName: ({ operation }) => operation,
  EventSource: sourceOf,
  ReadOnly: (event) => String(isReadOnly(event)),
  Username: userNameOf,
}

function readAttributes(attributes: NonNullable<Lookup["LookupAttributes"]>): readonly Fits[] {
  if (attributes.length > 1)
    throw raise("InvalidLookupAttributesException", { detail: "You can use only one lookup attribute in a request." })
  return attributes.map(({ AttributeKey: key = "", AttributeValue: value = "" }) => {
    if (key === "ResourceName" || key === "ResourceType")
      throw raise("UnsupportedOperation", { operation: `LookupEvents by ${key}` })
    const valueOf = Object.hasOwn(valuesOf, key) ? valuesOf[key] : undefined
    if (!valueOf || value === "" || value.length > 2000)
      throw raise("InvalidLookupAttributesException", { detail: "The lookup attribute is not valid." })
    return (event) => valueOf(event) === value
  })
}

const toEvent =
  (call: Call) =>
  ({ atMs, event }: PlacedEvent) => ({
    EventId: event.eventId,
    EventName: event.operation,
    ReadOnly: String(isReadOnly(event)),
    AccessKeyId: event.accessKeyId,
    EventTime: new Date(Math.floor(atMs / 1000) * 1000),
    EventSource: sourceOf(event),
    Username: userNameOf(event),
    Resources: [],
    CloudTrailEvent: JSON.stringify(recordOf(call, atMs, event)),
  })

/** https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html */
function recordOf(call: Call, atMs: number, event: CallEvent): object {
  return {
    eventVersion: "1.09",
    userIdentity: {
      type: event.arn.endsWith(":root") ? "Root" : "IAMUser",
      principalId: event.userId,
      arn: event.arn,
      accountId: call.account,
      accessKeyId: event.accessKeyId,
    },
    eventTime: `${new Date(atMs).toISOString().slice(0, 19)}Z`,
    eventSource: sourceOf(event),
    eventName: event.operation,
    awsRegion: call.region,
    sourceIPAddress: event.sourceAddress,
    userAgent: event.userAgent,
    ...(event.code === undefined ? {} : { errorCode: event.code, errorMessage: event.message }),
    requestParameters: null,
    responseElements: null,
    requestID: event.requestId,
    eventID: event.eventId,
    readOnly: isReadOnly(event),
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: call.account,
    eventCategory: "Management",
  }
}

/** A token holds for the lookup it was given for. */
function markOf({ LookupAttributes, StartTime, EndTime, EventCategory }: Lookup): string {
  const lookup = [LookupAttributes ?? [], StartTime ?? null, EndTime ?? null, EventCategory ?? null]
  return createHash("sha256").update(JSON.stringify(lookup)).digest("base64url").slice(0, 16)
}

function writeToken({ atMs, id, index }: EventPlace, mark: string): string {
  return Buffer.from(`${atMs} ${id} ${index} ${mark}`).toString("base64url")
}

function readToken(token: string | undefined, mark: string): EventPlace | undefined {
  if (token === undefined || token === "") return undefined
  const [atMs = "", id = "", index = "", given] = Buffer.from(token, "base64url").toString("latin1").split(" ")
  if (given !== mark || !/^\d{1,16}(\.\d{1,20})?$/.test(atMs) || !/^\d{1,15} \d{1,3}$/.test(`${id} ${index}`))
    throw raise("InvalidNextTokenException")
  return { atMs: Number(atMs), id: Number(id), index: Number(index) }
}

/** The table of handlers over a trail. */
export const handlersOf = (trail: Trail) => ({ LookupEvents: lookupEvents(trail) })

export function createService(cloud: Cloud, trail: Trail): Dispatcher {
  return createDispatcher(cloud, handlersOf(trail))
}
