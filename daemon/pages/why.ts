/**
 * GET /_fractus/why?resource=ID: from the API call through the store's version and the assignment's generation to each step and
 * command on the host. Calls come from the store's events and outlive restarts; steps from the host's memory. Holds no secret.
 */
import { fromStored } from "#cloud/resources/kind.ts"
import { assignedEvent } from "#cloud/resources/draft.ts"
import type { ResourceTrace } from "#host/protocol/types.ts"
import { Fault } from "#lib/fault.ts"
import { instanceKind, type InstanceRecord } from "#services/ec2/instances/record.ts"
import type { EventRow, Stored } from "#store/types.ts"
import type { PagesOptions } from "./pages.ts"

const eventLimit = 200

/** One call that wished something of the host. */
export interface WhyCall {
  readonly atMs: number
  readonly operation: string
  readonly requestId: string
  readonly caller: string
  /** The store's version of the resource after the call; null where the call did not change its record, or removed it. */
  readonly version: number | null
  readonly generation: number | null
}

export interface WhyResource {
  readonly resource: string
  /** Null where the store does not know it: never made, or gone. */
  readonly kind: string | null
  readonly account: string | null
  readonly region: string | null
  readonly version: number | null
  readonly state: string | null
  readonly calls: readonly WhyCall[]
  /** What AWS's API was told to say since: state changes. */
  readonly states: readonly { readonly atMs: number; readonly state: string }[]
  /** Null where the host cannot be asked. */
  readonly host: ResourceTrace | null
}

export interface Why extends WhyResource {
  /** What it needs: volumes, network, groups. Their own chains, as far as they fall in its time. */
  readonly needs: readonly WhyResource[]
}

/** Throws a Fault for an id that is none, or that neither the store nor the host has heard of. */
export async function readWhy(options: PagesOptions, id: string): Promise<Why> {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(id)) throw new Fault("ValidationError", "resource is not an id")
  const { store } = options.cloud
  const stored = (await store.getMany([id])).get(id)
  const own = await chain(options, id, stored)
  if (own.kind === null && own.calls.length === 0 && own.host?.known !== true && own.host?.entries.length === 0)
    throw new Fault("NotFound", `nothing is known of ${id}`, 404)
  const needed = stored?.kind === instanceKind.name ? neededBy(fromStored<InstanceRecord>(stored).record) : []
  const records = await store.getMany(needed)
  const needs = await Promise.all(needed.map((each) => chain(options, each, records.get(each))))
  return { ...own, needs: needs.map((each) => during(each, own)) }
}

function neededBy({ blockDevices, vpc, groups }: InstanceRecord): readonly string[] {
  return [...blockDevices.map(({ volume }) => volume), vpc, ...groups.map((group) => group.id)]
}

async function chain(
  { cloud, connection }: PagesOptions,
  id: string,
  stored: Stored | undefined,
): Promise<WhyResource> {
  const [events, host] = await Promise.all([cloud.store.eventsOf(id, eventLimit), connection.trace?.(id) ?? null])
  const state = member(stored?.record, "state")
  return {
    resource: id,
    kind: stored?.kind ?? null,
    account: stored?.account ?? null,
    region: stored?.region ?? null,
    version: stored?.version ?? null,
    state: typeof state === "string" ? state : null,
    calls: events.filter(({ kind }) => kind === assignedEvent).map(callOf),
    states: events.flatMap(({ atMs, detail }) => {
      const told = member(detail, "state")
      return typeof told === "string" ? [{ atMs, state: told }] : []
    }),
    host,
  }
}

/** A network lives long: of it is shown what was done while the resource that needs it was made and changed. */
function during(each: WhyResource, { calls, host }: WhyResource): WhyResource {
  const entries = host?.entries ?? []
  const fromMs = Math.min(calls[0]?.atMs ?? Infinity, entries[0]?.atMs ?? Infinity)
  const last = entries.at(-1)
  const toMs = last === undefined ? Infinity : last.atMs + last.ms
  const falls = ({ atMs }: { readonly atMs: number }) => atMs >= fromMs && atMs <= toMs
  return {
    ...each,
    calls: each.calls.filter(falls),
    host: each.host && { ...each.host, entries: each.host.entries.filter(falls) },
  }
}

function callOf({ atMs, detail }: EventRow): WhyCall {
  const text = (name: string) => {
    const value = member(detail, name)
    return typeof value === "string" ? value : ""
  }
  const number = (name: string) => {
    const value = member(detail, name)
    return typeof value === "number" ? value : null
  }
  return {
    atMs,
    operation: text("operation"),
    requestId: text("requestId"),
    caller: text("caller"),
    version: number("version"),
    generation: number("generation"),
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
