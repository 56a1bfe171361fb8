/** What this host did for each resource, lately: a ring for each, in memory alone. Asked for by the verb `trace`. */
import type { Clock } from "#lib/clock.ts"
import { shortened, tracing, type TraceLevel } from "#lib/trace.ts"
import type { ResourceTrace, Spec, Status, TraceEntry } from "./protocol/types.ts"

export interface TraceLimits {
  /** Entries kept of one resource. */
  readonly entries: number
  readonly resources: number
  /** How long a trace outlives its resource. */
  readonly keepMs: number
}
const limits: TraceLimits = { entries: 200, resources: 2_000, keepMs: 3_600_000 }

interface Ring {
  entries: TraceEntry[]
  dropped: number
  goneMs: number | undefined
}

/** A pass whose outcome is said by `outcome`. A routine one is kept only as far as something failed. */
export interface TracedPass {
  readonly resource: string
  readonly generation: number
  readonly routine: boolean
  /** How long it waited for its turn. */
  readonly waitedMs?: number
}

/** Below this it is not worth a line. */
const toldWaitMs = 50

export type Traces = ReturnType<typeof createTraces>

export function createTraces(clock: Clock, { entries: most, resources, keepMs }: TraceLimits = limits) {
  // In the order of the last entry, so that the first one is the one to give up.
  const rings = new Map<string, Ring>()

  function add(resource: string, entry: Omit<TraceEntry, "atMs">): void {
    const ring = rings.get(resource) ?? { entries: [], dropped: 0, goneMs: undefined }
    rings.delete(resource)
    rings.set(resource, ring)
    const atMs = Math.round((clock.wallMs() - entry.ms) * 10) / 10
    ring.entries.push({ ...entry, ms: Math.round(entry.ms * 10) / 10, atMs })
    if (ring.entries.length > most) {
      ring.entries.shift()
      ring.dropped += 1
    }
    if (rings.size > resources) rings.delete(rings.keys().next().value!)
  }

  return {
    wished(resource: string, generation: number, spec: Spec | undefined): void {
      const ring = rings.get(resource)
      if (ring) ring.goneMs = undefined
      add(resource, { generation, level: "wish", what: wishWords(spec), ms: 0 })
    },
    observed(resource: string, generation: number, status: Status): void {
      const { trouble } = status
      const error = trouble && { error: shortened([`${trouble.code}: ${trouble.message}`], 500) }
      add(resource, { generation, level: "observed", what: statusWords(status), ms: 0, ...error })
    },
    /** Runs a pass; all that is done in it is kept as this resource's. `outcome` puts what the pass gave in words. */
    async pass<T>(pass: TracedPass, work: () => Promise<T>, outcome: (result: T) => string): Promise<T> {
      const { resource, generation, routine, waitedMs = 0 } = pass
      const started = clock.monotonicMs()
      const record = (level: TraceLevel | "pass", what: string, ms: number, error: string | undefined) => {
        if (routine && error === undefined) return
        const why = error === undefined ? {} : { error: shortened([error], 500) }
        add(resource, { generation, level, what, ms, ...why })
      }
      if (waitedMs >= toldWaitMs) record("pass", "waited for its turn", waitedMs, undefined)
      try {
        const result = await tracing(record, work)
        record("pass", outcome(result), clock.monotonicMs() - started, undefined)
        return result
      } catch (error) {
        record("pass", "failed", clock.monotonicMs() - started, error instanceof Error ? error.message : String(error))
        throw error
      }
    },
    gone(resource: string): void {
      const ring = rings.get(resource)
      if (ring) ring.goneMs = clock.monotonicMs()
    },
    /** Drops what is gone for long. */
    tidy(): void {
      const before = clock.monotonicMs() - keepMs
      for (const [resource, { goneMs }] of rings) if (goneMs !== undefined && goneMs < before) rings.delete(resource)
    },
    /** Oldest first, by when each began. */
    read(resource: string): Pick<ResourceTrace, "entries" | "dropped"> {
      const ring = rings.get(resource)
      // What encloses others ends after them and began before.
      const entries = ring?.entries.toSorted((a, b) => a.atMs - b.atMs || depth[a.level] - depth[b.level]) ?? []
      return { entries, dropped: ring?.dropped ?? 0 }
    },
  }
}

const depth = { wish: 0, pass: 1, step: 2, call: 3, command: 4, observed: 5 } as const

/** A wish in words: never its metadata document, which holds the user-data. */
export function wishWords(spec: Spec | undefined): string {
  if (spec === undefined) return "absent"
  if (spec.kind === "guest") {
    const { power, hibernate, starts, resets, vcpus, memoryMiB, image } = spec
    return `guest ${power}${power === "off" && hibernate ? " with its memory kept" : ""}, start ${starts}, reset ${resets}, ${vcpus} vCPUs, ${memoryMiB} MiB, ${image}`
  }
  if (spec.kind === "volume") {
    const { sizeBytes, snapshot, image = snapshot, key } = spec
    return `volume of ${sizeBytes} bytes${image ? ` from ${image}` : ""}${key ? `, encrypted with key ${key}` : ""}`
  }
  if (spec.kind === "snapshot") {
    const how = spec.guest === undefined ? "" : `, while ${spec.guest} ${spec.atRest ? "is shut down" : "stands still"}`
    return `snapshot of ${Object.values(spec.from)[0]}${how}${spec.key ? `, encrypted with key ${spec.key}` : ""}`
  }
  if (spec.kind === "template") return `template of ${spec.image}, ${spec.vcpus} vCPUs, ${spec.memoryMiB} MiB`
  if (spec.kind === "network") return `network ${spec.cidr}, ${spec.subnets.length} subnets`
  return `group of ${spec.group.ingress.length} ingress and ${spec.group.egress.length} egress rules in ${spec.network}`
}

export function statusWords(status: Status): string {
  if (status.kind !== "guest") return status.phase
  const { phase, starts, cause, pid, checks, hibernated, memoryLost } = status
  const memory = hibernated ? ", memory kept" : memoryLost ? `, memory lost: ${memoryLost}` : ""
  const check = checks?.instance === "failed" ? `, ${silenceWords[checks.agent ?? "none"]}` : ""
  return `${phase}, start ${starts}${cause ? `, ${cause}` : ""}${pid ? `, pid ${pid}` : ""}${check}${memory}`
}

/** Why an instance check failed. */
const silenceWords = {
  answers: "silent to ARP while its agent answers: it runs, its network does not",
  silent: "silent to ARP, and its agent is silent",
  none: "silent to ARP",
} as const
