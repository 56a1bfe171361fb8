/**
 * The control plane's end of a host: pushes wishes as they are committed, hands observations on, one at a time per resource, and knows what
 * is still open. Nothing here is durable: the store's assignments are the whole truth and are sent again on every start.
 */
import { type AssignmentRow, type Commit, type CommitResult, type Store, StoreUnusableError } from "#store/types.ts"
import type { Assignment, HostConnection, Observed, Spec, Status } from "#host/protocol/types.ts"
import { localHost } from "./local.ts"

export interface HostLinkOptions {
  readonly store: Store
  readonly connection: HostConnection
  /** Turns an observation into state; may throw, and is then called again. */
  readonly observe: (observed: Observed) => Promise<void>
  readonly log: (message: string, error: unknown) => void
}

export interface HostLink {
  /** Sends the whole truth. `absent` are resources whose end was asked for but not yet seen. */
  start(absent: readonly string[]): Promise<void>
  /** For `commitDraft`: pushes what a commit assigned. */
  readonly sink: (commit: Commit, result: CommitResult) => void
  /** Resources that are not yet as wished, or whose observation is not yet carried out. */
  pending(): number
  /** Forgets everything, after the store was emptied. */
  reset(): Promise<void>
}

/** What has to be seen before a wish counts as fulfilled. */
interface Wish {
  readonly generation: number
  readonly kind: Spec["kind"] | undefined
  readonly power?: "on" | "off"
  readonly starts?: number
  readonly resets?: number
}

const retryMs = 100
const retries = 50

export function createHostLink({ store, connection, observe, log }: HostLinkOptions): HostLink {
  const open = new Map<string, Wish>()
  const newest = new Map<string, Observed>()
  const working = new Set<string>()
  let era = 0

  const push = (resource: string, generation: number, spec: Spec | undefined) => {
    // Commits may resolve out of order; only a newer wish goes out.
    const known = open.get(resource)
    if (known !== undefined && known.generation >= generation) return
    open.set(resource, wishOf(generation, spec))
    connection
      .assign(resource, generation, spec)
      .catch((error: unknown) => log(`the host did not take ${resource}`, error))
  }

  const work = async (resource: string, born: number) => {
    working.add(resource)
    let failures = 0
    for (;;) {
      const observed = newest.get(resource)
      // A reset in between has forgotten what this was about.
      if (observed === undefined || born !== era) break
      try {
        await observe(observed)
        if (newest.get(resource) === observed) newest.delete(resource)
        failures = 0
      } catch (error) {
        // A store that cannot be written now can be later (its disk is full): that says nothing against the observation.
        if (!(error instanceof StoreUnusableError)) failures++
        if (failures > retries) {
          log(`giving up on an observation of ${resource}`, error)
          newest.delete(resource)
        } else await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
    working.delete(resource)
  }

  connection.onObserved((observed) => {
    const { resource } = observed
    const wish = open.get(resource)
    if (wish !== undefined && fulfils(wish, observed)) open.delete(resource)
    newest.set(resource, observed)
    if (!working.has(resource)) void work(resource, era)
  })

  return {
    async start(absent) {
      const assignments = (await store.assignments(localHost)).map(toAssignment)
      for (const { resource, generation, spec } of assignments) open.set(resource, wishOf(generation, spec))
      await connection.sync(assignments)
      for (const resource of absent) if (!open.has(resource)) push(resource, 1, undefined)
    },
    sink(commit, result) {
      for (const row of commit.assign ?? [])
        push(row.resource, generationOf(result, row.resource), row.spec as unknown as Spec)
      for (const row of commit.unassign ?? []) push(row.resource, generationOf(result, row.resource), undefined)
    },
    pending: () => open.size + newest.size + working.size,
    async reset() {
      era++
      open.clear()
      newest.clear()
      await connection.sync([])
    },
  }
}

function generationOf(result: CommitResult, resource: string): number {
  const generation = result.generations.get(resource)
  if (generation === undefined) throw new Error(`the store gave no generation for ${resource}`)
  return generation
}

function toAssignment(row: AssignmentRow): Assignment {
  return { resource: row.resource, generation: row.generation, spec: row.spec as unknown as Spec }
}

function wishOf(generation: number, spec: Spec | undefined): Wish {
  if (spec?.kind !== "guest") return { generation, kind: spec?.kind }
  return { generation, kind: "guest", power: spec.power, starts: spec.starts, resets: spec.resets }
}

function fulfils(wish: Wish, { generation, status }: Observed): boolean {
  if (wish.kind === undefined) return status.phase === "absent"
  if (generation < wish.generation) return false
  if (status.trouble?.final === true) return true
  return status.kind === "guest" ? guestFulfils(wish, status) : status.phase === "ready"
}

function guestFulfils(wish: Wish, status: Extract<Status, { kind: "guest" }>): boolean {
  // Off at the wished start: the guest left by itself, and nothing more will come.
  if (status.phase === "off") return wish.power === "off" || status.starts === wish.starts
  return wish.power === "on" && status.phase === "on" && status.starts === wish.starts && status.resets === wish.resets
}
