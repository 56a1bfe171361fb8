/** The rows of tags, walked in the order in which they were set: pages stay the same while others change. */
import { createHash } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import type { FacetMatch } from "#store/types.ts"
import { type TagRecord, tagRows } from "../ec2/tags/handlers.ts"

export type TagRow = Resource<TagRecord>
const rowsAPage = 1000
/** Rows looked at for one answer, at most; the next page goes on from there. */
const mostRows = 20_000

export interface Walk {
  readonly facets: readonly FacetMatch[]
  readonly after: number | undefined
  /** Takes a row; true when the answer is full, and then the row was not taken. Rows of one store page come after `prepare`. */
  readonly take: (row: TagRow) => Promise<boolean> | boolean
  readonly prepare?: (rows: readonly TagRow[]) => Promise<void>
}

/** Walks until the answer is full or there is no more. Gives where to go on, undefined at the end. */
export async function walk(call: Call, { facets, after, take, prepare }: Walk): Promise<number | undefined> {
  let from = after
  for (let seen = 0; seen < mostRows; seen += rowsAPage) {
    const page = await query(call, facets, rowsAPage, from)
    const rows = page.items.map((stored) => fromStored<TagRecord>(stored))
    await prepare?.(rows)
    for (const row of rows) {
      if (await take(row)) return from ?? 0
      from = row.sequence
    }
    if (page.next === undefined) return undefined
  }
  return from
}

function query(call: Call, facets: readonly FacetMatch[], limit: number, after?: number) {
  const own = { accounts: [call.account], regions: [call.region] }
  return call.store.query({ kind: tagRows.name, ...own, facets, limit, ...(after === undefined ? {} : { after }) })
}

/** Whether a row is the first of those with these facets. */
export async function isFirst(call: Call, row: TagRow, facets: readonly FacetMatch[]): Promise<boolean> {
  return (await query(call, facets, 1)).items[0]?.sequence === row.sequence
}

/** All rows of these resources. */
export async function rowsOf(call: Call, ids: readonly string[]): Promise<ReadonlyMap<string, readonly TagRow[]>> {
  const found: TagRow[] = []
  for (let at = 0; at < ids.length; at += idsAQuery) {
    const facets = [{ name: "resource-id", values: ids.slice(at, at + idsAQuery) }]
    const page = await query(call, facets, rowsAPage)
    found.push(...page.items.map((stored) => fromStored<TagRecord>(stored)))
  }
  return Map.groupBy(found, ({ record }) => record.resource)
}
// A resource has at most 50 tags of its users', and a few of the system's.
const idsAQuery = 15

/** A page token holds for the query it was given for, and for no other. */
export function writeToken(after: number | undefined, ...query: readonly unknown[]): string {
  return after === undefined ? "" : Buffer.from(`${after}.${markOf(query)}`).toString("base64url")
}

/** Where to go on; undefined to begin. Throws `invalid` for what is no token of this query. */
export function readToken(
  token: string | undefined,
  invalid: () => Error,
  ...query: readonly unknown[]
): number | undefined {
  if (token === undefined || token === "") return undefined
  const [after = "", mark] = Buffer.from(token, "base64url").toString("latin1").split(".")
  if (mark !== markOf(query) || !/^\d{1,15}$/.test(after)) throw invalid()
  return Number(after)
}

const markOf = (query: readonly unknown[]) =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16)
