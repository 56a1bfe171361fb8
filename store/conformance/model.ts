import {
  BlockedError,
  ClaimTakenError,
  ConflictError,
  type Claim,
  type Commit,
  type FacetMatch,
  type PutResource,
  type Reference,
} from "../types.ts"

interface Held extends PutResource {
  readonly version: number
}

interface State {
  /** In order of creation. */
  readonly resources: Map<string, Held>
  readonly references: Map<string, Reference>
  readonly claims: Map<string, Claim>
  readonly assignments: Map<string, { readonly resource: string; readonly spec: unknown }>
}

/** What a store must do, as plainly as it can be said: the measure for the drivers. */
export interface Model {
  state: State
  seq: number
  commit(commit: Commit): void
  reset(): void
}

const referenceKey = ({ from, to, role }: Reference): string => JSON.stringify([from, to, role])
const claimKey = ({ scope, key }: Omit<Claim, "owner">): string => JSON.stringify([scope, key])
const emptyState = (): State => ({
  resources: new Map(),
  references: new Map(),
  claims: new Map(),
  assignments: new Map(),
})

export function createModel(): Model {
  return {
    state: emptyState(),
    seq: 0,
    commit(commit) {
      // Worked on a copy: a commit that throws has done nothing.
      const next = structuredClone(this.state)
      apply(next, commit)
      this.state = next
      this.seq += commit.event?.length ?? 0
    },
    reset() {
      this.state = emptyState()
    },
  }
}

function apply(state: State, commit: Commit): void {
  const { resources, references, claims, assignments } = state
  for (const [id, version] of commit.expect ?? []) {
    if ((resources.get(id)?.version ?? 0) !== version) throw new ConflictError(id)
  }
  for (const each of commit.release ?? []) claims.delete(claimKey(each))
  for (const each of commit.unlink ?? []) references.delete(referenceKey(each))
  remove(state, commit.delete ?? [])
  for (const each of commit.put ?? []) {
    resources.set(each.id, { ...each, version: (resources.get(each.id)?.version ?? 0) + 1 })
  }
  for (const each of commit.link ?? []) {
    for (const end of [each.from, each.to]) {
      if (each.role !== "mentions" && !resources.has(end)) throw new ConflictError(end)
    }
    references.set(referenceKey(each), each)
  }
  for (const each of commit.claim ?? []) {
    const holder = claims.get(claimKey(each))
    if (holder && holder.owner !== each.owner) throw new ClaimTakenError(each, holder.owner)
    claims.set(claimKey(each), each)
  }
  for (const { resource, spec } of commit.assign ?? []) assignments.set(resource, { resource, spec })
  for (const { resource } of commit.unassign ?? []) assignments.delete(resource)
}

function remove({ resources, references, claims }: State, ids: readonly string[]): void {
  const doomed = new Set(ids.filter((id) => resources.has(id)))
  for (const id of doomed) {
    for (const { from, to, role } of references.values()) {
      if (to === id && role === "owned" && resources.has(from)) doomed.add(from)
    }
  }
  for (const id of doomed) {
    const by = [...references.values()].filter(
      ({ from, to, role }) => to === id && role === "blocks" && !doomed.has(from),
    )
    if (by.length > 0) throw new BlockedError(id, by.map(({ from }) => from).toSorted())
  }
  for (const [key, { from, to, role }] of references) {
    if (doomed.has(from) || (doomed.has(to) && role !== "mentions")) references.delete(key)
  }
  for (const [key, { owner }] of claims) if (doomed.has(owner)) claims.delete(key)
  for (const id of doomed) resources.delete(id)
}

/** Whether a resource has a facet as a filter asks for it. */
export function matches(held: PutResource, { name, values, wildcards }: FacetMatch): boolean {
  return (held.facets[name] ?? []).some((have) =>
    values.some((value) => (wildcards === true ? patternOf(value).test(have) : value === have)),
  )
}

function patternOf(value: string): RegExp {
  const source = value.replace(/\\?[^]/gu, (part) => {
    if (part === "*") return "[^]*"
    if (part === "?") return "[^]"
    return (part.length > 1 && part.startsWith("\\") ? part.slice(1) : part).replace(/[\\^$.*+?()[\]{}|/-]/gu, "\\$&")
  })
  return new RegExp(`^${source}$`, "u")
}
