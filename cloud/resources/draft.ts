/** A change in the making: everything a call wants, done in one conditional commit or not at all. */
import type {
  AssignmentRow,
  Claim,
  Commit,
  CommitResult,
  EventDraft,
  Json,
  PutResource,
  Reference,
  Role,
  Store,
} from "#store/types.ts"
import type { Spec } from "#host/protocol/types.ts"
import { type Kind, newId, type Resource, type Tagged, toPut } from "./kind.ts"
import { tagPuts } from "./tags.ts"

export interface Draft {
  /** A new resource; refused if the id exists. */
  create<R extends Tagged>(kind: Kind<R>, record: R, id?: string): Resource<R>
  /** A changed record; refused if somebody else changed the resource since it was read. */
  update<R extends Tagged>(kind: Kind<R>, resource: Resource<R>, record: R): Resource<R>
  /** Gone, with all it owns. What still refers to it (`blocks`) refuses the commit. */
  remove(resource: Resource): void
  /** The commit fails if this resource changed since it was read. */
  expect(resource: Pick<Resource, "id" | "version">): void
  link(from: string, to: string, role: Role): void
  unlink(from: string, to: string, role: Role): void
  claim(scope: string, key: string | number, owner: string): void
  release(scope: string, key: string | number): void
  /** What a host should make true. */
  assign(host: string, resource: string, spec: Spec): void
  unassign(host: string, resource: string): void
  event(kind: string, subject: string, detail: Json): void
  /** True when nothing was asked for. */
  readonly empty: boolean
  build(): Commit
}

export interface DraftScope {
  readonly account: string
  readonly region: string
  readonly nowMs: number
}

/** A draft for one account and region. Later changes of one resource replace earlier ones. */
export function createDraft(scope: DraftScope): Draft {
  const expect = new Map<string, number>()
  const puts = new Map<string, PutResource>()
  const removed = new Set<string>()
  const link: Reference[] = []
  const unlink: Reference[] = []
  const claim: Claim[] = []
  const release: { scope: string; key: string }[] = []
  const assign = new Map<string, Omit<AssignmentRow, "generation">>()
  const unassign = new Map<string, { host: string; resource: string }>()
  const event: EventDraft[] = []

  const put = <R extends Tagged>(kind: Kind<R>, before: Resource<R> | undefined, after: Resource<R>): Resource<R> => {
    puts.set(after.id, toPut(kind, after))
    const parts = (resource: Resource<R> | undefined) =>
      resource === undefined
        ? []
        : [{ id: resource.id, kind: kind.name, tags: resource.record.tags }, ...(kind.parts?.(resource.record) ?? [])]
    const tags = tagPuts(after, parts(before), parts(after))
    for (const tag of tags.put) puts.set(tag.id, tag)
    for (const id of tags.remove) removed.add(id)
    link.push(...tags.link)
    return after
  }
  const once = (id: string, version: number) => {
    if (!expect.has(id)) expect.set(id, version)
  }

  return {
    create(kind, record, id = newId(kind.prefix)) {
      once(id, 0)
      const { account, region } = scope
      return put(kind, undefined, { id, kind: kind.name, account, region, version: 0, sequence: 0, record })
    },
    update(kind, resource, record) {
      once(resource.id, resource.version)
      return put(kind, resource, { ...resource, record })
    },
    remove(resource) {
      once(resource.id, resource.version)
      puts.delete(resource.id)
      removed.add(resource.id)
    },
    expect: (resource) => once(resource.id, resource.version),
    link: (from, to, role) => void link.push({ from, to, role }),
    unlink: (from, to, role) => void unlink.push({ from, to, role }),
    claim: (scope, key, owner) => void claim.push({ scope, key: String(key), owner }),
    release: (scope, key) => void release.push({ scope, key: String(key) }),
    assign(host, resource, spec) {
      unassign.delete(resource)
      assign.set(resource, { host, resource, kind: spec.kind, spec: spec as unknown as Json })
    },
    unassign(host, resource) {
      assign.delete(resource)
      unassign.set(resource, { host, resource })
    },
    event: (kind, subject, detail) =>
      void event.push({ atMs: scope.nowMs, kind, subject, account: scope.account, region: scope.region, detail }),
    get empty() {
      return (
        puts.size +
          removed.size +
          link.length +
          unlink.length +
          claim.length +
          release.length +
          assign.size +
          unassign.size +
          event.length ===
        0
      )
    },
    build: () => ({
      expect: [...expect],
      put: [...puts.values()],
      delete: [...removed],
      link,
      unlink,
      claim,
      release,
      assign: [...assign.values()],
      unassign: [...unassign.values()],
      event,
    }),
  }
}

/** Kind of the events that say which call wished something of a host. */
export const assignedEvent = "assigned"

/** Told of every commit that changed what a host should do; pushes the new wishes to it. */
export type AssignmentSink = (commit: Commit, result: CommitResult) => void

/** Commits what a draft holds. `origin` is kept with every resource that a host is to do something about: `fractus why`. */
export async function commitDraft(
  store: Store,
  draft: Draft,
  sink: AssignmentSink,
  origin?: Pick<EventDraft, "atMs" | "account" | "region" | "detail">,
): Promise<void> {
  if (draft.empty) return
  const built = draft.build()
  const wished = [...(built.assign ?? []), ...(built.unassign ?? [])].map(({ resource }) => resource)
  const calls = origin ? wished.map((subject) => ({ ...origin, kind: assignedEvent, subject, stamped: true })) : []
  const commit = { ...built, event: [...(built.event ?? []), ...calls] }
  const result = await store.commit(commit)
  if ((commit.assign?.length ?? 0) + (commit.unassign?.length ?? 0) > 0) sink(commit, result)
}
