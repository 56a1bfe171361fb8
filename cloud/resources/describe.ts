/**
 * Describe, once for every kind: ids, filters, paging, in at most two store calls.
 * Follows "List and filter your resources" and "Pagination" of the EC2 API reference: filters are AND-ed, their values OR-ed, values are case-sensitive and
 * may hold wildcards; MaxResults does not go with ids; an answer never holds more than 1,000 rows.
 */
import { createHash } from "node:crypto"
import type { FacetMatch, Store } from "#store/types.ts"
import { raise } from "../errors.ts"
import { fromStored, type Kind, notFound, requireId, type Resource, type Tagged, toPut } from "./kind.ts"
import { hasWildcard, matches } from "./match.ts"

export interface Filter {
  readonly Name?: string | undefined
  readonly Values?: readonly string[] | undefined
}

export interface DescribeRequest<R extends Tagged> {
  readonly kind: Kind<R>
  readonly ids?: readonly string[] | undefined
  /** What EC2 calls `ids` when it refuses them beside MaxResults, where it is not the kind's name and "Ids": "instancesSet". */
  readonly idsCalled?: string
  readonly filters?: readonly Filter[] | undefined
  /** Documented filter names; `tag:<key>` and `tag-key` are always known. */
  readonly filterNames: readonly string[]
  /** Those of `filterNames` that no index answers: the operation looks at each page for them (`fits`), so a page may hold fewer rows. */
  readonly computed?: readonly string[]
  readonly maxResults?: number | undefined
  readonly nextToken?: string | undefined
  /** Accounts and regions that are seen; by default the caller's own. */
  readonly accounts?: readonly string[]
  readonly regions?: readonly string[]
  /** Smallest and largest MaxResults the operation takes. */
  readonly bounds?: readonly [min: number, max: number]
  /** Further conditions that the operation itself sets. */
  readonly also?: readonly FacetMatch[]
}

export interface Described<R extends Tagged> {
  readonly items: readonly Resource<R>[]
  /** The caller's filters by `computed` names, which `items` were not yet looked at for. */
  readonly remaining: readonly FacetMatch[]
  readonly nextToken?: string
}

/** Rows of one answer at most. */
export const pageLimit = 1000
const maxFilterValues = 200

export async function describe<R extends Tagged>(
  store: Store,
  scope: { readonly account: string; readonly region: string },
  request: DescribeRequest<R>,
): Promise<Described<R>> {
  const asked = readFilters(request.filters ?? [], request.filterNames)
  const isComputed = ({ name }: FacetMatch) => request.computed?.includes(name) === true
  const facets = [...(request.also ?? []), ...asked.filter((facet) => !isComputed(facet))]
  const remaining = asked.filter(isComputed)
  const accounts = request.accounts ?? [scope.account]
  const regions = request.regions ?? [scope.region]
  checkBounds(request.maxResults, request.bounds ?? [5, pageLimit])
  if (request.ids !== undefined && request.ids.length > 0) {
    if (request.maxResults !== undefined)
      throw raise("InvalidParameterCombination", {
        detail: request.idsCalled
          ? `The parameter ${request.idsCalled} cannot be used with the parameter maxResults`
          : `The parameter ${idsOf(request.kind.name)} cannot be used with the parameter MaxResults`,
      })
    const all = await requireMany(store, { accounts, regions }, request.kind, request.ids)
    return {
      items: all.filter((resource) => facets.every((facet) => hasFacet(request.kind, resource, facet))),
      remaining,
    }
  }
  const fingerprint = fingerprintOf(request.kind.name, accounts, regions, facets, remaining)
  const after =
    request.nextToken === undefined || request.nextToken === "" ? undefined : readToken(request.nextToken, fingerprint)
  const limit = Math.min(request.maxResults ?? pageLimit, pageLimit)
  const page = await store.query({
    kind: request.kind.name,
    accounts,
    regions,
    facets,
    limit,
    ...(after === undefined ? {} : { after }),
  })
  return {
    items: page.items.map((stored) => fromStored<R>(stored)),
    remaining,
    ...(page.next === undefined ? {} : { nextToken: writeToken(page.next, fingerprint) }),
  }
}

/** "internet-gateway" -> "InternetGatewayIds". */
const idsOf = (kind: string) => `${kind.replace(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase())}Ids`

/** Fetches ids in their order, each once. Malformed ids and missing ones are refused, all missing ones named as AWS does. */
export async function requireMany<R extends Tagged>(
  store: Store,
  scope: { readonly accounts: readonly string[]; readonly regions: readonly string[] },
  kind: Kind<R>,
  ids: readonly string[],
): Promise<readonly Resource<R>[]> {
  const unique = [...new Set(ids)]
  for (const id of unique) requireId(kind, id)
  const found = await store.getMany(unique)
  const resources: Resource<R>[] = []
  const missing: string[] = []
  for (const id of unique) {
    const stored = found.get(id)
    const visible =
      stored?.kind === kind.name && scope.accounts.includes(stored.account) && scope.regions.includes(stored.region)
    if (visible) resources.push(fromStored<R>(stored))
    else missing.push(id)
  }
  if (missing.length > 1) throw notFound({ notFound: [kind.notFound[0], plural(kind.notFound[1])] }, missing.join(", "))
  if (missing[0] !== undefined) throw notFound(kind, missing[0])
  return resources
}

const plural = (message: string) =>
  message
    .replace(/ID '\{id\}' does not exist/, "IDs '{id}' do not exist")
    .replace(/'\{id\}' does not exist/, "'{id}' do not exist")

function readFilters(filters: readonly Filter[], known: readonly string[]): FacetMatch[] {
  const byName = new Map<string, string[]>()
  let count = 0
  for (const { Name, Values } of filters) {
    if (Name === undefined || Name === "") throw raise("MissingParameter", { name: "Filter.Name" })
    if (!known.includes(Name) && Name !== "tag-key" && !Name.startsWith("tag:"))
      throw raise("InvalidParameterValue", { detail: `The filter '${Name}' is invalid` })
    if (Values === undefined || Values.length === 0)
      throw raise("InvalidParameterValue", { detail: `The filter '${Name}' has no values` })
    count += Values.length
    if (count > maxFilterValues)
      throw raise("InvalidParameterValue", {
        detail: `The maximum number of filter values specified on a single call is ${maxFilterValues}`,
      })
    byName.set(Name, [...(byName.get(Name) ?? []), ...Values])
  }
  return [...byName].map(([name, values]) => ({ name, values, wildcards: values.some(hasWildcard) }))
}

function hasFacet<R extends Tagged>(kind: Kind<R>, resource: Resource<R>, facet: FacetMatch): boolean {
  return fits([facet], (name) => toPut(kind, resource).facets[name] ?? [])
}

/** True for something with these values: `values` gives those of one filter's name. */
export function fits(
  wanted: readonly FacetMatch[],
  values: (name: string) => readonly (string | undefined)[],
): boolean {
  return wanted.every((facet) =>
    values(facet.name).some(
      (value) =>
        value !== undefined &&
        facet.values.some((want) => (facet.wildcards === true ? matches(want, value) : want === value)),
    ),
  )
}

function checkBounds(maxResults: number | undefined, [min, max]: readonly [number, number]): void {
  if (maxResults === undefined) return
  const detail =
    maxResults < min
      ? `Value ( ${maxResults} ) for parameter maxResults is invalid. Expecting a value greater than ${min}.`
      : maxResults > max
        ? `Value ( ${maxResults} ) for parameter maxResults is invalid. Expecting a value less than ${max}.`
        : undefined
  if (detail !== undefined) throw raise("InvalidParameterValue", { detail })
}

/** A page token holds for the query it was given for, and for no other. */
function fingerprintOf(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 16)
}
function writeToken(after: number, fingerprint: string): string {
  return Buffer.from(`${after}.${fingerprint}`).toString("base64url")
}
function readToken(token: string, fingerprint: string): number {
  const [after, mark] = Buffer.from(token, "base64url").toString("latin1").split(".")
  if (mark !== fingerprint || after === undefined || !/^\d{1,15}$/.test(after))
    throw raise("InvalidNextToken", { token })
  return Number(after)
}

/** Pages over a list that is not in the store (instance types, zones), with the same token rules. */
export function pageOf<T>(
  items: readonly T[],
  request: {
    readonly maxResults?: number | undefined
    readonly nextToken?: string | undefined
    readonly bounds?: readonly [number, number]
  },
  ...query: readonly unknown[]
): { readonly items: readonly T[]; readonly nextToken?: string } {
  checkBounds(request.maxResults, request.bounds ?? [5, pageLimit])
  const fingerprint = fingerprintOf("list", ...query)
  const from =
    request.nextToken === undefined || request.nextToken === "" ? 0 : readToken(request.nextToken, fingerprint)
  const to = from + Math.min(request.maxResults ?? pageLimit, pageLimit)
  return { items: items.slice(from, to), ...(to < items.length ? { nextToken: writeToken(to, fingerprint) } : {}) }
}

/** Filters over a list that is not in the store: `values` gives an item's values of one filter name. */
export function filterList<T>(
  items: readonly T[],
  filters: readonly Filter[] | undefined,
  names: readonly string[],
  values: (item: T, name: string) => readonly (string | undefined)[],
): readonly T[] {
  const wanted = readFilters(filters ?? [], names)
  return items.filter((item) => fits(wanted, (name) => values(item, name)))
}
