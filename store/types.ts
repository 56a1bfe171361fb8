/**
 * The store: narrow and asynchronous. Reads before, one conditional commit after. It knows no cloud: kinds, facets,
 * claims and roles are strings to it. Every driver passes `store/conformance.ts`.
 */

/** A JSON value. Records are plain JSON: no dates, no bytes, no undefined members. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** One resource as it stands. `record` is ours, versioned by `schema`; a driver upgrades it on read. */
export interface Stored {
  readonly id: string
  readonly kind: string
  readonly account: string
  readonly region: string
  /** Rises by one with every change of this resource; 1 at creation. */
  readonly version: number
  /** Order of creation in this store, unique, rising: the paging key. */
  readonly sequence: number
  /** Version of the record's own format, set by whoever wrote it. */
  readonly schema: number
  readonly record: Json
}

/** Name and values of one search criterion: any of the values, each may hold the wildcards `*` and `?` (escaped by `\`). */
export interface FacetMatch {
  readonly name: string
  readonly values: readonly string[]
  /** True when a value is matched with wildcards; else the compare is exact. */
  readonly wildcards?: boolean
}

export interface Query {
  readonly kind: string
  /** Accounts whose resources are seen; empty means all. */
  readonly accounts: readonly string[]
  /** Regions whose resources are seen; empty means all. */
  readonly regions: readonly string[]
  /** All must match. */
  readonly facets?: readonly FacetMatch[]
  /** Only resources whose `sequence` is greater. */
  readonly after?: number
  /** At most this many, in rising `sequence`. */
  readonly limit: number
}

export interface Page {
  readonly items: readonly Stored[]
  /** Set when there is more: the `after` of the next page. */
  readonly next?: number
}

/**
 * How one resource stands to another.
 * `blocks`: `to` cannot be deleted while `from` refers to it. `owned`: `from` is deleted together with `to`.
 * `mentions`: may dangle.
 */
export type Role = "blocks" | "owned" | "mentions"

export interface Reference {
  readonly from: string
  readonly to: string
  readonly role: Role
}

export interface PutResource {
  readonly id: string
  readonly kind: string
  readonly account: string
  readonly region: string
  readonly schema: number
  readonly record: Json
  /** The whole set of facets of the resource, replacing the old set. A name may have several values. */
  readonly facets: Readonly<Record<string, readonly string[]>>
}

/** A name that one owner may hold in one scope: addresses, names in a VPC, client tokens, numbers. */
export interface Claim {
  readonly scope: string
  readonly key: string
  readonly owner: string
}

/** What a host should do about one resource. `generation` rises with every change. */
export interface AssignmentRow {
  readonly host: string
  readonly resource: string
  readonly kind: string
  readonly generation: number
  readonly spec: Json
}

export interface EventRow {
  /** Gapless, rising by one, taken inside the commit. */
  readonly seq: number
  readonly atMs: number
  readonly kind: string
  readonly subject: string
  readonly account: string
  readonly region: string
  readonly detail: Json
}

export interface EventDraft extends Omit<EventRow, "seq"> {
  /**
   * Write into the detail, which must then be an object, what this commit gave the subject: `version` where it was put,
   * `generation` where it was assigned or unassigned.
   */
  readonly stamped?: boolean
}

export interface Commit {
  /** Versions that must still hold; 0 means the id must not exist. A violation throws `ConflictError` and nothing is done. */
  readonly expect?: readonly (readonly [id: string, version: number])[]
  readonly put?: readonly PutResource[]
  /** Ids to delete, with all that is `owned` by them, their references, claims (by owner) and facets. Throws `BlockedError`. */
  readonly delete?: readonly string[]
  /** Both ends of `blocks` and `owned` must exist once this commit's puts are done, else `ConflictError` names the missing one. */
  readonly link?: readonly Reference[]
  readonly unlink?: readonly Reference[]
  /** Throws `ClaimTakenError` if another owner holds the claim; claiming again by the same owner is fine. */
  readonly claim?: readonly Claim[]
  readonly release?: readonly Omit<Claim, "owner">[]
  /** Wanted state for hosts: replaces the row of that (host, resource). The generation is raised by the store. */
  readonly assign?: readonly Omit<AssignmentRow, "generation">[]
  readonly unassign?: readonly { readonly host: string; readonly resource: string }[]
  readonly event?: readonly EventDraft[]
}

export interface CommitResult {
  /** New versions of what was put, by id. */
  readonly versions: ReadonlyMap<string, number>
  /** Seq of the last event of this commit, or of the store if it wrote none. */
  readonly seq: number
  /** New generations of what was assigned or unassigned, by resource. */
  readonly generations: ReadonlyMap<string, number>
}

export class ConflictError extends Error {
  readonly id: string
  constructor(id: string) {
    super(`${id} was changed by somebody else`)
    this.id = id
  }
}
export class ClaimTakenError extends Error {
  readonly claim: Claim
  /** Who holds it. */
  readonly holder: string
  constructor(claim: Claim, holder: string) {
    super(`${claim.scope} ${claim.key} is held by ${holder}`)
    this.claim = claim
    this.holder = holder
  }
}
export class BlockedError extends Error {
  readonly id: string
  /** Ids that refer to it with the role `blocks`. */
  readonly by: readonly string[]
  constructor(id: string, by: readonly string[]) {
    super(`${id} is in use by ${by.join(", ")}`)
    this.id = id
    this.by = by
  }
}
/** The store's file is damaged, of a newer release, held by another process, or its disk is full. */
export class StoreUnusableError extends Error {
  readonly reason: "corrupt" | "newer" | "locked" | "full" | "io"
  constructor(reason: StoreUnusableError["reason"], message: string) {
    super(message)
    this.reason = reason
  }
}

export interface Store {
  getMany(ids: readonly string[]): Promise<ReadonlyMap<string, Stored>>
  query(query: Query): Promise<Page>
  /** References at either end of these ids. `direction` "to": who refers to them; "from": what they refer to. */
  related(ids: readonly string[], direction: "to" | "from", role?: Role): Promise<readonly Reference[]>
  claims(scope: string, keys?: readonly string[]): Promise<readonly Claim[]>
  /** How many claims each scope has; scopes without any are left out. */
  countClaims(scopes: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Smallest integer in [from, to] that nobody claims in the scope (keys are decimal numbers), or undefined. */
  freeNumber(scope: string, from: number, to: number): Promise<number | undefined>
  assignments(host: string): Promise<readonly AssignmentRow[]>
  /** Only so many of the newest events are kept: a first `seq` above `sinceSeq` + 1 says that older ones are gone. */
  changes(sinceSeq: number, limit: number): Promise<readonly EventRow[]>
  /** The newest events of one subject, oldest first; looked for among the newest 100,000 of all. */
  eventsOf(subject: string, limit: number): Promise<readonly EventRow[]>
  /**
   * Rises with whatever changes what reads give; undefined while a change is being written. What was read before and after
   * it was the same number is still true. Only in drivers that no other process can write behind.
   */
  revision?(): number | undefined
  /** Durable when it resolves: a power cut after it loses nothing. */
  commit(commit: Commit): Promise<CommitResult>
  /** Forget everything. Only for `--engine sim --auth off` and tests; under 20 ms. */
  reset(): Promise<void>
  close(): Promise<void>
}

/** Turns a record of an older schema into the newest one; applied on read. Kind -> function. */
export type Upgrades = Readonly<Record<string, (record: Json, schema: number) => { record: Json; schema: number }>>
