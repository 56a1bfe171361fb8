/** Which of the regions that need an opt-in an account has enabled. One record, read by id. */
import type { Call } from "#cloud/call.ts"
import { defineKind, fromStored, type Resource, type Tagged } from "#cloud/resources/kind.ts"
import type { Store } from "#store/types.ts"
import { findRegion } from "./data.ts"

interface OptInRecord extends Tagged {
  /** Names of regions, sorted. */
  readonly enabled: readonly string[]
}

const optInKind = defineKind<OptInRecord>({
  name: "region-opt-in",
  prefix: "region-opt-in",
  schema: 1,
  // Nobody asks for one by its id.
  notFound: ["InternalError", "The record '{id}' does not exist"],
  malformed: ["InternalError", "The record '{id}' does not exist"],
  facets: () => ({}),
})

/** Of the account, in whatever region it was written. */
async function find(store: Store, account: string): Promise<Resource<OptInRecord> | undefined> {
  const id = idOf(account)
  const stored = (await store.getMany([id])).get(id)
  return stored === undefined ? undefined : fromStored<OptInRecord>(stored)
}
const idOf = (account: string) => `region-opt-in:${account}`

/** Names of regions that the account has opted in to. */
export async function optedIn(store: Store, account: string): Promise<ReadonlySet<string>> {
  return new Set((await find(store, account))?.record.enabled)
}

/** Whether the account may call a region. Only where an opt-in is needed does it cost a look into the store. */
export async function mayCall(store: Store, account: string, region: string): Promise<boolean> {
  return findRegion(region)?.needsOptIn !== true || (await optedIn(store, account)).has(region)
}

/** Puts the account's choice for one region into the draft. */
export async function setOptIn(call: Call, region: string, enabled: boolean): Promise<void> {
  const found = await find(call.store, call.account)
  const others = (found?.record.enabled ?? []).filter((name) => name !== region)
  const record = { enabled: enabled ? [...others, region].toSorted() : others, tags: [] }
  if (found === undefined) call.draft.create(optInKind, record, idOf(call.account))
  else call.draft.update(optInKind, found, record)
}
