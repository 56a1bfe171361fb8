/** The host in memory: takes assignments, reconciles them with the engines, says what it observes. */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { Assignment, HostFacts, Observed, Spec, Status } from "../protocol/types.ts"
import type { Host, HostOptions } from "../types.ts"
import { checkTimes, startChecks } from "./checks.ts"
import { bounded, systemTimer, within } from "./deadline.ts"
import { keepCredits } from "../credits/keeper.ts"
import {
  checkedGuest,
  differing,
  holderAmong,
  networkSpec,
  networksOf,
  paidGuest,
  restFor,
  takenFrom,
} from "./entries.ts"
import { createGuestReconciler } from "./guest.ts"
import { createNetworkReconciler, reconcileGroup } from "./network.ts"
import { availableMiB, guestMemory, poolFloorMiB } from "../memory.ts"
import { createTraces, statusWords, wishWords } from "../trace.ts"
import { keepPool } from "./pool.ts"
import { createQueue, newEntry, type Entry } from "./queue.ts"
import { openMemories } from "./memories.ts"
import { openRecords } from "./record.ts"
import { type Outcome, troubleOf } from "./steps.ts"
import { createTemplateReconciler, openTemplateRecords } from "./template.ts"
import { createTemplateMaker } from "./template-maker.ts"
import { reconcileSnapshot } from "./snapshot.ts"
import { reconcileVolume } from "./volume.ts"
import { createWarmer } from "./warmer.ts"
import { createWarmAsked } from "./warm-asked.ts"
import type { Pass, World } from "./world.ts"

/**
 * A host over the three engines. Nothing is done before the first `sync` or `assign`; from the first `sync` on, whatever the
 * engines list and nobody assigned is removed. `close` leaves guests, networks and volumes as they are, and the engines open.
 */
export function createHost(options: HostOptions): Host {
  const { log, clock, timer = systemTimer, operationMs = 60_000, resyncMs = 30_000 } = options
  const hypervisor = bounded(options.hypervisor, operationMs, timer, "hypervisor")
  const network = bounded(options.network, operationMs, timer, "network")
  const storage = bounded(options.storage, operationMs, timer, "storage")
  const bootId = options.bootId ?? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  const traces = createTraces(clock)
  const records = openRecords(options.stateDirectory)
  const memories = openMemories(options.stateDirectory)
  const entries = new Map<string, Entry>()
  const listeners: ((observed: Observed) => void)[] = []
  const said = new Map<string, string>()
  const identity = options.identity ?? { manufacturer: "Amazon EC2", product: "fractus" }
  const images = bounded(options.images, operationMs, timer, "images")
  const templates = options.templates && options.hypervisor.templates
  const templateRecords = openTemplateRecords(options.stateDirectory)
  const maker =
    templates &&
    options.templates &&
    createTemplateMaker({ templates, ...options.templates, identity, engines: { images, storage } })
  const warmer =
    templates &&
    maker &&
    createWarmer({
      templates,
      maker,
      path: join(options.stateDirectory, "templates-wanted.json"),
      quietMs: options.templates.quietMs ?? 3_000,
      timer,
      pending: () => (synced ? queue.pending() : 1),
      log,
    })
  const pool =
    templates?.pool &&
    maker &&
    options.templates.pool &&
    keepPool({
      engine: templates.pool,
      maker,
      images,
      everyMs: 1_000,
      availableMiB,
      floorMiB: poolFloorMiB(),
      ...options.templates.pool,
      mtu: options.templates.mtu,
      network,
      networks: () =>
        [...entries.values()].flatMap(({ resource, wish, applied }) =>
          wish?.kind === "network" && applied ? [resource] : [],
        ),
      path: join(options.stateDirectory, "pool-kinds.json"),
      timer,
      pending: () => (synced ? queue.pending() : 1),
      log,
    })
  let synced = false
  let closed = false

  const checks = startChecks({
    ...options,
    network,
    hypervisor,
    timer,
    times: { ...checkTimes, ...options.checkTimes },
    guests: () => [...entries.values()].flatMap(checkedGuest),
    changed: (guest) => {
      const entry = entries.get(guest)
      if (entry) queue.kick(entry, true)
    },
  })
  const keeper = keepCredits({
    ...options,
    hypervisor,
    timer,
    bootId,
    guests: () => (synced ? [...entries.values()].flatMap(paidGuest) : undefined),
  })
  const world: World = {
    hypervisor,
    network,
    storage,
    metadata: bounded(options.metadata, operationMs, timer, "metadata"),
    images,
    clock,
    uidBase: options.uidBase,
    records,
    memories,
    warmer,
    pool,
    bootId,
    fullLookMs: resyncMs / 2,
    shutdownMs: options.shutdownMs ?? 60_000,
    identity,
    entry: (resource) => entries.get(resource),
    holder: (resource) => holderAmong(entries.values(), resource),
    takenFrom: (resource) => takenFrom(entries.values(), resource),
    restFor: (guest) => restFor(entries.values(), guest),
    checks,
    networkSpec: (assignment) => networkSpec(entries.values(), assignment),
    kick: (resource) => {
      const entry = entries.get(resource)
      if (entry) queue.kick(entry)
    },
    wake: (resource) => queue.wake(resource),
  }
  const reconcilers = {
    guest: createGuestReconciler(),
    network: createNetworkReconciler(),
    group: reconcileGroup,
    volume: reconcileVolume,
    snapshot: reconcileSnapshot,
    template: createTemplateReconciler({ templates, maker, pool, records: templateRecords, log }),
  }
  const queue = createQueue({
    reconcile: (entry, superseded, waitedMs) => {
      const report = (status: Status) => void (superseded() || say(entry, status))
      const { resource, kind, generation, work } = entry
      // Engines compare networks in full each time: a look that changes nothing is not worth keeping.
      const { routine } = work
      const pass = { resource, generation, routine: kind === "network" && routine, waitedMs }
      const reconcile = () => reconcilers[kind]({ entry, world, superseded, report, routine } satisfies Pass)
      return traces.pass(pass, reconcile, outcomeWords)
    },
    failed: (entry, error) => say(entry, { ...(entry.status ?? unknown(entry)), trouble: troubleOf(error) }),
    gone: (entry) => {
      entries.delete(entry.resource)
      said.delete(entry.resource)
      traces.gone(entry.resource)
    },
    lane: ({ kind, wish, status }) =>
      kind === "guest" && wish?.kind === "guest" && wish.power === "on" && guestPhase(status) !== "on"
        ? "starts"
        : "others",
    limits: options.limits ?? { starts: Math.max(2, availableParallelism()), others: 8 },
    backoffMs: options.backoffMs ?? { first: 200, longest: 30_000 },
    timer,
    log,
  })

  function say(entry: Entry, status: Status): void {
    entry.status = status
    const observed: Observed = { resource: entry.resource, generation: entry.generation, status }
    const text = JSON.stringify(observed)
    if (said.get(entry.resource) === text) return
    said.set(entry.resource, text)
    traces.observed(entry.resource, entry.generation, status)
    if (paidGuest(entry).length > 0) keeper.changed()
    for (const listener of listeners) listener(observed)
    queue.wake(entry.resource)
  }

  function wish(resource: string, kind: Spec["kind"], generation: number, spec: Spec | undefined): void {
    let entry = entries.get(resource)
    if (entry && entry.kind !== kind) throw new Error(`${resource} is a ${entry.kind}, not a ${kind}`)
    if (!entry) {
      entry = newEntry(resource, kind)
      entries.set(resource, entry)
    }
    const touched = differing(networksOf(entry.wish), networksOf(spec))
    if (entry.generation !== generation || generation === 0) traces.wished(resource, generation, spec)
    entry.generation = generation
    entry.wish = spec
    if (spec?.kind === "group") entry.network = spec.network
    if (kind !== "guest") entry.status = undefined
    queue.wished(entry)
    for (const network of touched) {
      const owner = entries.get(network)
      if (owner) queue.kick(owner)
    }
  }

  /** Everything that the engines have, by kind. */
  async function inventory(): Promise<readonly (readonly [string, Spec["kind"]])[]> {
    const [machines, recorded, hibernated, networks, volumes, snapshots, assigned] = await Promise.all([
      hypervisor.list(),
      records.list(),
      memories.list(),
      network.list(),
      storage.listVolumes(),
      storage.listSnapshots(),
      templateRecords.list(),
    ])
    const guests = new Set([...machines, ...recorded, ...hibernated])
    return [
      ...[...guests].map((id) => [id, "guest"] as const),
      ...networks.map(({ id }) => [id, "network"] as const),
      ...volumes.filter((id) => maker?.volumes.has(id) !== true).map((id) => [id, "volume"] as const),
      ...snapshots.map((id) => [id, "snapshot"] as const),
      ...assigned.map((id) => [id, "template"] as const),
    ]
  }

  /** Whatever nobody assigned should be absent: the leftovers of a crash. */
  async function sweep(): Promise<void> {
    for (const [id, kind] of await inventory()) if (!closed && !entries.has(id)) wish(id, kind, 0, undefined)
  }

  let cancelResync = timer(resyncMs, resync)
  function resync(): void {
    traces.tidy()
    for (const entry of entries.values()) queue.kick(entry, true)
    if (synced) sweep().catch((error: unknown) => log("host: the sweep failed", { ...troubleOf(error) }))
    if (!closed) cancelResync = timer(resyncMs, resync)
  }
  const unsubscribe = hypervisor.onChange((id) => {
    const entry = entries.get(id)
    if (entry) queue.kick(entry)
  })
  let facts: ReturnType<typeof hypervisor.probe> | undefined

  return {
    async facts(): Promise<HostFacts> {
      facts ??= hypervisor.probe()
      const found = await facts.catch((error: unknown) => {
        facts = undefined
        throw error
      })
      // JSON knows no infinity, which is what the sim engine has.
      const [cpus, memoryMiB] = [found.cpus, found.memoryMiB].map((each) => Math.min(each, Number.MAX_SAFE_INTEGER))
      const { accelerator } = found
      const images = await world.images.list()
      return {
        engine: hypervisor.name,
        accelerator,
        cpus: cpus!,
        memoryMiB: memoryMiB!,
        publicCidr: options.publicCidr,
        images,
      }
    },
    /**
     * Resolves when all that exists is known. What was neither assigned nor observed by then is absent.
     * Rejects when the engines cannot say what they have: call it again.
     */
    async sync(assignments: readonly Assignment[]) {
      const assigned = new Set(assignments.map(({ resource }) => resource))
      if (assigned.size !== assignments.length) throw new Error("a resource is assigned twice")
      said.clear()
      for (const { resource, generation, spec } of assignments) {
        const entry = entries.get(resource)
        if (entry?.status && entry.work.settled && entry.generation === generation && entry.wish)
          say(entry, entry.status)
        wish(resource, spec.kind, generation, spec)
      }
      for (const entry of entries.values()) {
        if (assigned.has(entry.resource)) continue
        wish(entry.resource, entry.kind, entry.generation, undefined)
        say(entry, leaving(entry))
      }
      await sweep()
      for (const entry of entries.values()) if (!entry.wish && !entry.status) say(entry, leaving(entry))
      synced = true
    },
    async assign(resource, generation, spec) {
      const entry = entries.get(resource)
      if (entry && generation < entry.generation) return
      said.delete(resource)
      if (spec ?? entry) return wish(resource, spec?.kind ?? entry!.kind, generation, spec)
      const kind = (await inventory()).find(([id]) => id === resource)?.[1] ?? "guest"
      // Told of it again meanwhile: the newer word counts.
      if (!entries.has(resource)) wish(resource, kind, generation, undefined)
    },
    onObserved: (listener) => void listeners.push(listener),
    async consoleOutput(guest, maxBytes) {
      try {
        return await hypervisor.consoleOutput(guest, maxBytes)
      } catch (error) {
        // Asked for by its id alone: the machine may not be made yet, or be gone already.
        if ((await hypervisor.list()).includes(guest)) throw error
        return Buffer.alloc(0)
      }
    },
    screenshot: (guest, wake) => hypervisor.screenshot(guest, wake),
    interrupt: (guest) => hypervisor.interrupt(guest),
    async processes() {
      const guests = [...entries.values()].flatMap(({ resource, status }) =>
        status?.kind === "guest" && status.pid !== undefined ? [{ name: `qemu ${resource}`, pid: status.pid }] : [],
      )
      return [...(options.processes?.() ?? []), ...guests]
    },
    ...(hypervisor.name === "qemu" && {
      memory: () => guestMemory(entries.values(), options.hypervisor.templates?.loadedBytes() ?? 0, pool?.state()),
    }),
    async trace(resource) {
      const entry = entries.get(resource)
      const kept = traces.read(resource)
      if (!entry) return { known: false, generation: 0, failures: 0, settled: true, ...kept }
      const { generation, status, work, wish: wished } = entry
      const before = queue.before(entry)
      const waitsFor = work.waitsFor ?? (before === undefined ? undefined : `its turn, with ${before} before it`)
      const credits = wished?.kind === "guest" ? keeper.of(resource, wished.cpuAccount) : undefined
      return {
        known: true,
        generation,
        wished: wishWords(wished),
        ...(status && { observed: statusWords(status) }),
        ...(status?.trouble && { trouble: status.trouble }),
        ...(credits && { credits }),
        ...(!work.settled && waitsFor !== undefined && { waitsFor }),
        failures: work.failures,
        settled: work.settled,
        ...kept,
      }
    },
    ...(maker && { warm: createWarmAsked(maker) }),
    async close() {
      closed = true
      warmer?.close()
      cancelResync()
      checks.close()
      unsubscribe()
      // A call that hangs must not keep the process from ending: the next one starts over.
      const work = Promise.all([queue.close(entries.values()), keeper.close(), pool?.close()])
      await within("the work in flight", 5_000, timer, work).catch((error: unknown) =>
        log("host: closed over work in flight", { ...troubleOf(error) }),
      )
    },
    pending: () => queue.pending(),
    idle: () => queue.idle(),
  }
}

const guestPhase = (status: Status | undefined) => (status?.kind === "guest" ? status.phase : undefined)

function outcomeWords(outcome: Outcome): string {
  if (outcome.kind === "waiting") return `waiting for ${outcome.resource}`
  return outcome.kind === "again" ? `again in ${Math.round(outcome.delayMs)} ms` : outcome.kind
}

/** What can be said of a resource that was not looked at yet. */
function unknown({ kind, wish }: Entry): Status {
  if (kind !== "guest") return { kind, phase: "pending" }
  const counters = wish?.kind === "guest" ? { starts: wish.starts, resets: wish.resets } : { starts: 0, resets: 0 }
  return { kind, phase: wish?.kind === "guest" && wish.power === "on" ? "starting" : "stopping", ...counters }
}

function leaving(entry: Entry): Status {
  const { status } = entry
  if (entry.kind !== "guest") return { kind: entry.kind, phase: "pending" }
  return {
    ...(status?.kind === "guest" ? { starts: status.starts, resets: status.resets } : { starts: 0, resets: 0 }),
    kind: "guest",
    phase: "stopping",
  }
}
