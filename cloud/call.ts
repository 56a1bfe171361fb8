/** One API call as a handler sees it: who, where, when, reads, and one commit at the end. */
import { BlockedError, ConflictError, ClaimTakenError, type Store } from "#store/types.ts"
import type { Clock } from "#lib/clock.ts"
import { authorize } from "./identity/authorize.ts"
import { raise } from "./errors.ts"
import { type AssignmentSink, commitDraft, createDraft, type Draft } from "./resources/draft.ts"
import { describe, type Described, type DescribeRequest, requireMany } from "./resources/describe.ts"
import { fromStored, type Kind, type Resource, type Tagged } from "./resources/kind.ts"
import { inTurn } from "./turns.ts"

/** What the wire knows of a call. */
export interface CallInfo {
  readonly requestId: string
  readonly operation: string
  readonly region: string
  readonly caller: { readonly account: string; readonly arn: string; readonly userId: string }
}

/** What is the same for every call of one daemon. */
export interface Cloud {
  readonly store: Store
  readonly clock: Clock
  readonly sink: AssignmentSink
  readonly settings: Settings
  /** Console output and other questions that only a host can answer. */
  readonly hosts: HostQuestions
}

export interface Settings {
  readonly engine: "qemu" | "sim"
  readonly unknownAmi: "reject" | "substitute"
  /** CPUs and memory of the host; undefined on sim, where nothing is short. */
  readonly capacity: { readonly cpus: number; readonly memoryMiB: number } | undefined
  /** vCPUs that an account may have running in a region, of each group of types that EC2 has a quota for; undefined: any number. */
  readonly vcpuLimit?: number
  /** Calls beyond EC2's documented rates are refused. */
  readonly throttle?: true
  readonly architectures: readonly ("x86_64" | "arm64")[]
  readonly publicCidr: string
}

export interface HostQuestions {
  consoleOutput(host: string, guest: string, maxBytes: number): Promise<Buffer>
  /** What the guest's display shows, as the host's protocol gives it: hostile input. */
  screenshot(host: string, guest: string, wake: boolean): Promise<Buffer>
  /** A non-maskable interrupt for a running guest. */
  interrupt(host: string, guest: string): Promise<void>
  /** As the host's protocol has it. Missing where guests have no serial port. */
  serialKey?(host: string, guest: string, key: string): Promise<"accepted" | "taken" | "unavailable">
}

export interface Call {
  readonly cloud: Cloud
  readonly info: CallInfo
  readonly account: string
  readonly region: string
  /** Cloud time. */
  readonly nowMs: number
  readonly store: Store
  /** Fresh for every attempt. */
  readonly draft: Draft
  /** The resource, or undefined if it is not there or not the caller's. */
  find<R extends Tagged>(kind: Kind<R>, id: string): Promise<Resource<R> | undefined>
  /** The resource, or the kind's Malformed or NotFound. A missing id is MissingParameter under `parameter`. */
  require<R extends Tagged>(kind: Kind<R>, id: string | undefined, parameter?: string): Promise<Resource<R>>
  requireMany<R extends Tagged>(kind: Kind<R>, ids: readonly string[]): Promise<readonly Resource<R>[]>
  /** Ids that are known to exist, as they come from records; those gone meanwhile are left out. */
  load<R extends Tagged>(kind: Kind<R>, ids: readonly string[]): Promise<ReadonlyMap<string, Resource<R>>>
  /** All of a kind with one value of a facet, at most 1,000. */
  list<R extends Tagged>(kind: Kind<R>, facet: string, ...values: readonly string[]): Promise<readonly Resource<R>[]>
  describe<R extends Tagged>(request: DescribeRequest<R>): Promise<Described<R>>
  authorize(action: string, ...resources: readonly Resource[]): void
  /** Makes the draft true. With DryRun this is where the call ends. */
  commit(): Promise<void>
}

const attempts = 5

/**
 * Runs a handler; a conflict with a concurrent change runs it again from its reads, at most five times,
 * in turn with others that met on the same resource.
 * Throws what the handler throws.
 */
export async function runCall<T>(
  cloud: Cloud,
  info: CallInfo,
  dryRun: boolean,
  handler: (call: Call) => Promise<T>,
): Promise<T> {
  let contested: string | undefined
  for (let attempt = 1; ; attempt++) {
    const run = () => handler(createCall(cloud, info, dryRun))
    try {
      const result = contested === undefined ? await run() : await inTurn(cloud.store, contested, run)
      if (dryRun) throw raise("DryRunOperation")
      return result
    } catch (error) {
      if (error instanceof BlockedError) throw raise("DependencyViolation", { id: error.id })
      const contended = error instanceof ConflictError || error instanceof ClaimTakenError
      if (!contended) throw error
      if (attempt === attempts) throw raise("RequestLimitExceeded")
      if (error instanceof ConflictError) contested = error.id
    }
  }
}

export function createCall(cloud: Cloud, info: CallInfo, dryRun: boolean): Call {
  const { store, clock } = cloud
  const account = info.caller.account
  const region = info.region
  const nowMs = clock.cloudMs()
  const draft = createDraft({ account, region, nowMs })
  const own = { accounts: [account], regions: [region] }
  const isOwn = (resource: { kind: string; account: string; region: string }, kind: string) =>
    resource.kind === kind && resource.account === account && resource.region === region

  return {
    cloud,
    info,
    account,
    region,
    nowMs,
    store,
    draft,
    async find(kind, id) {
      const stored = (await store.getMany([id])).get(id)
      return stored !== undefined && isOwn(stored, kind.name) ? fromStored(stored) : undefined
    },
    async require(kind, id, parameter) {
      if (id === undefined) throw raise("MissingParameter", { name: parameter ?? `${kind.name}Id` })
      return (await requireMany(store, own, kind, [id]))[0] as Resource<never>
    },
    requireMany: (kind, ids) => requireMany(store, own, kind, ids),
    async load(kind, ids) {
      const found = ids.length === 0 ? new Map<string, never>() : await store.getMany([...new Set(ids)])
      return new Map(
        [...found].filter(([, stored]) => isOwn(stored, kind.name)).map(([id, stored]) => [id, fromStored(stored)]),
      )
    },
    async list(kind, name, ...values) {
      const page = await store.query({ kind: kind.name, ...own, facets: [{ name, values }], limit: 1000 })
      return page.items.map((stored) => fromStored(stored))
    },
    describe: (request) => describe(store, { account, region }, request),
    authorize: (action, ...resources) => authorize(info.caller, action, resources),
    async commit() {
      if (dryRun) throw raise("DryRunOperation")
      const { requestId, operation, caller } = info
      const detail = { requestId, operation, caller: caller.arn }
      await commitDraft(store, draft, cloud.sink, { atMs: nowMs, account, region, detail })
    },
  }
}
