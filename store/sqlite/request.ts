import type { AssignmentRow, Claim, Commit, EventDraft, Json, Reference } from "../types.ts"
import type { Failure } from "./failure.ts"
import { term } from "./term.ts"

/** A commit made ready for the writer: checked, its JSON written out. */
export interface WriteRequest {
  readonly expect: readonly (readonly [id: string, version: number])[]
  readonly put: readonly PutRow[]
  readonly delete: readonly string[]
  readonly link: readonly Reference[]
  readonly unlink: readonly Reference[]
  readonly claim: readonly Claim[]
  readonly release: readonly Omit<Claim, "owner">[]
  readonly assign: readonly (Omit<AssignmentRow, "generation" | "spec"> & { readonly spec: string })[]
  readonly unassign: readonly { readonly host: string; readonly resource: string }[]
  readonly event: readonly (Omit<EventDraft, "detail"> & { readonly detail: string })[]
  /** Rough size, for the limits of the queue. */
  readonly chars: number
}

export interface PutRow {
  readonly id: string
  readonly kind: string
  readonly account: string
  readonly region: string
  readonly schema: number
  readonly record: string
  readonly terms: readonly string[]
}

/** What a commit gave: `CommitResult` with its maps as pairs. */
export interface Applied {
  readonly versions: readonly (readonly [id: string, version: number])[]
  readonly seq: number
  readonly generations: readonly (readonly [resource: string, generation: number])[]
}

/** What the writer says of one commit. */
export type WriteOutcome = Applied | { readonly failure: Failure }

/** Main thread to writer. */
export type WriterMessage =
  | { readonly type: "group"; readonly commits: readonly WriteRequest[] }
  | { readonly type: "reset" }
  | { readonly type: "close" }
/** Writer to main thread: one answer to each message, in order. */
export type WriterAnswer = { readonly outcomes: readonly WriteOutcome[] }

const maxRecordChars = 16 * 1024 * 1024
const maxCommitChars = 64 * 1024 * 1024
const maxNameChars = 4096
const roles: ReadonlySet<string> = new Set(["blocks", "owned", "mentions"])

/** Checks a commit and writes out its JSON. Throws `TypeError` on what the store could not keep as it was given. */
export function writeRequest(commit: Commit): WriteRequest {
  let chars = 256
  const json = (value: Json, what: string): string => {
    // JSON.stringify answers undefined for undefined and functions, whatever its type says.
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new TypeError(`${what} is not JSON`)
    if (text.length > maxRecordChars) throw new TypeError(`${what} is longer than ${maxRecordChars} characters`)
    chars += text.length
    return text
  }
  const request = {
    expect: commit.expect ?? [],
    put: (commit.put ?? []).map(({ id, kind, account, region, schema, record, facets }) => {
      names({ id, kind, account, region })
      integer(schema, "schema")
      const terms = termsOf(facets)
      for (const each of terms) chars += each.length
      return { id, kind, account, region, schema, terms, record: json(record, `the record of ${id}`) }
    }),
    delete: commit.delete ?? [],
    link: commit.link ?? [],
    unlink: commit.unlink ?? [],
    claim: commit.claim ?? [],
    release: commit.release ?? [],
    assign: (commit.assign ?? []).map(({ host, resource, kind, spec }) => {
      names({ host, resource, kind })
      return { host, resource, kind, spec: json(spec, `the assignment of ${resource}`) }
    }),
    unassign: commit.unassign ?? [],
    event: (commit.event ?? []).map(({ atMs, kind, subject, account, region, detail, stamped = false }) => {
      if (stamped && (typeof detail !== "object" || detail === null || Array.isArray(detail)))
        throw new TypeError(`the event ${kind} has no room for a stamp`)
      if (!Number.isFinite(atMs)) throw new TypeError("atMs is not a number")
      names({ kind })
      return { atMs, kind, subject, account, region, stamped, detail: json(detail, `the event ${kind}`) }
    }),
  }
  checkSmall(request)
  if (chars > maxCommitChars) throw new TypeError(`a commit of more than ${maxCommitChars} characters`)
  return { ...request, chars }
}

function checkSmall(request: Omit<WriteRequest, "chars" | "put" | "assign" | "event">): void {
  for (const [id, version] of request.expect) {
    names({ id })
    integer(version, "version")
  }
  for (const id of request.delete) names({ id })
  for (const { from, to, role } of [...request.link, ...request.unlink]) {
    names({ from, to })
    if (!roles.has(role)) throw new TypeError(`${role} is no role`)
  }
  for (const { scope, key, owner } of request.claim) names({ scope, key, owner })
  for (const { scope, key } of request.release) names({ scope, key })
  for (const { host, resource } of request.unassign) names({ host, resource })
}

function termsOf(facets: Readonly<Record<string, readonly string[]>>): readonly string[] {
  const terms = new Set<string>()
  for (const [name, values] of Object.entries(facets)) {
    for (const value of values) terms.add(term(name, value))
  }
  return [...terms]
}

/** Ids and names are compared for equality, so what SQLite would change on the way in is refused. */
function names(given: Readonly<Record<string, string>>): void {
  for (const [what, text] of Object.entries(given)) {
    if (typeof text !== "string" || text.length > maxNameChars || text.includes("\0") || !text.isWellFormed()) {
      throw new TypeError(`${what} is not a text the store can keep`)
    }
  }
}

function integer(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${what} is not a whole number`)
}
