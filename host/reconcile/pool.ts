/**
 * Keeps the pool of clones as full as it shall be: one is added at a time, when the host has nothing to do, and they are given up where
 * memory is short. Of which kind they are: of what was launched last, kept in a file, and before any launch of the host's smallest image.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type { TapPlace, Uids, WarmMember, WarmPool } from "#engine/hypervisor/types.ts"
import type { PoolState, WarmKind } from "../protocol/types.ts"
import type { HostOptions, Log, PoolTarget, Timer } from "../types.ts"
import { isKind, nameOf, type TemplateMaker } from "./template-maker.ts"

export interface Pool {
  /** Of the cards of those that wait. */
  readonly mtu: number
  /** One that waits, for a guest of this kind in this network: nobody else is given it. It is taken over, or given up. */
  reserve(kind: WarmKind, network: string): WarmMember | undefined
  /** Ends one that was reserved and not taken over: its tap may be anywhere. Idempotent. */
  giveUp(member: string): Promise<void>
  /** The guest has it, and its tap. */
  taken(member: string): void
  /** A guest of this kind is launched in this network, where the next ones may be wanted too. */
  used(kind: WarmKind, network: string): void
  /** So many of the kind are wished by this resource from now on; undefined: none any more. */
  wish(resource: string, wished: { readonly kind: WarmKind; readonly count: number } | undefined): void
  state(): PoolState
  /** Looks no more, once what it does is done. */
  close(): Promise<void>
}

export interface PoolOptions {
  readonly engine: WarmPool
  readonly maker: Pick<TemplateMaker, "spare" | "forget">
  readonly images: Pick<HostOptions["images"], "list" | "find">
  readonly uids: Uids
  readonly mtu: number
  readonly targets: readonly PoolTarget[]
  /** Holds the kinds that were launched last. */
  readonly path: string
  readonly everyMs: number
  readonly timer: Timer
  readonly network: Pick<HostOptions["network"], "parkTap" | "dropTap">
  /** Those that stand. */
  readonly networks: () => readonly string[]
  /** Resources that are not as wished yet. */
  readonly pending: () => number
  /** Memory that this machine can give without swapping, and what of it is left alone. */
  readonly availableMiB: () => number
  readonly floorMiB: number
  readonly log: Log
}

const kindLimit = 8
/** A kind of which none could be added is left alone for so many looks. */
const patienceLooks = 60
/** Launches come in rows, and whoever waits for one shares the CPUs: nothing is added for so many looks after the last. */
const quietLooks = 3
/** What a member takes beside its guest's RAM, of which it may come to use all. */
const besideMiB = 64

interface Kept {
  readonly kind: string
  readonly of: WarmKind
  readonly volume: string
  /** Where its tap waits for a guest. */
  parked?: { readonly network: string; readonly tap: TapPlace } | undefined
}

export function keepPool(options: PoolOptions): Pool {
  const { engine, maker, images, uids, network, targets, path, timer, everyMs } = options
  const { pending, availableMiB, floorMiB, log } = options
  const launched = readKinds(path)
  const wishes = new Map<string, { readonly kind: WarmKind; readonly count: number }>()
  const kept = new Map<string, Kept>()
  const reserved = new Set<string>()
  const failed = new Map<string, number>()
  let looks = 0
  let usedAt = -quietLooks
  let wantedCount = 0
  let lastNetwork: string | undefined
  let short = false
  let closed = false
  let cancel: (() => void) | undefined
  let working: Promise<void> | undefined

  const later = () => {
    const busy = targets.length > 0 || wishes.size > 0 || kept.size > 0
    if (!closed && busy && !working) cancel ??= timer(everyMs, look)
  }

  /** The kind that a target is of: the last one launched of its size. */
  async function kindOf({ size }: PoolTarget): Promise<WarmKind | undefined> {
    const fits = (kind: WarmKind) => !size || (kind.vcpus === size.vcpus && kind.memoryMiB === size.memoryMiB)
    for (const kind of launched.toReversed().filter(fits)) if (await images.find(kind.image)) return kind
    const [first] = (await images.list()).toSorted((one, two) => one.sizeBytes - two.sizeBytes)
    // With the volume that a launch has which asks for none.
    return first && { image: first.id, ...(size ?? defaultSize), sizeBytes: first.sizeBytes }
  }

  /** All that is wanted, by kind: the most that any wish says. */
  async function wanted(): Promise<ReadonlyMap<string, { readonly kind: WarmKind; readonly count: number }>> {
    const of = await Promise.all(targets.map(async (target) => ({ kind: await kindOf(target), count: target.count })))
    const all = new Map<string, { kind: WarmKind; count: number }>()
    for (const { kind, count } of [...of, ...wishes.values()]) {
      if (!kind) continue
      const before = all.get(nameOf(kind))?.count ?? 0
      all.set(nameOf(kind), { kind, count: Math.max(before, count) })
    }
    return all
  }

  /** Those that were taken, or ended by themselves. */
  async function settle(): Promise<void> {
    const waiting = new Set(engine.members().map(({ id }) => id))
    for (const [member, { volume, parked }] of kept) {
      // Of one that is being taken the tap is the guest's, as soon as it has been told.
      if (waiting.has(member) || reserved.has(member)) continue
      kept.delete(member)
      await maker.forget(volume)
      await dropped(parked)
    }
  }

  /** Of one that is no more. */
  const dropped = async (parked: Kept["parked"]) => {
    if (parked) await network.dropTap(parked.tap)
  }

  async function end(member: string): Promise<void> {
    await engine.end(member)
    await settle()
  }

  async function work(): Promise<void> {
    looks += 1
    await settle()
    const all = await wanted()
    wantedCount = [...all.values()].reduce((sum, { count }) => sum + count, 0)
    const seen = new Map<string, number>()
    for (const [member, one] of kept) {
      const { kind } = one
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
      const tooMany = seen.get(kind)! > (all.get(kind)?.count ?? 0)
      if ((tooMany || !isThere(one)) && !reserved.has(member)) await end(member)
    }
    const freeMiB = availableMiB()
    const last = [...kept.keys()].findLast((member) => !reserved.has(member))
    if (freeMiB < floorMiB && last !== undefined) {
      if (!short) log("host: memory is short, the pool is given up", { freeMiB, floorMiB })
      short = true
      return end(last)
    }
    // Launches come first.
    if (pending() > 0) usedAt = looks
    if (looks - usedAt < quietLooks || closed) return
    for (const [name, { kind, count }] of all) {
      const has = [...kept.values()].filter((each) => each.kind === name).length
      if (has >= count || looks - (failed.get(name) ?? -patienceLooks) < patienceLooks) continue
      if (freeMiB < floorMiB + kind.memoryMiB + besideMiB) continue
      short = false
      return add(name, kind)
    }
  }

  /** Its tap went with the network that it stood in. */
  const isThere = ({ parked }: Kept) => parked === undefined || options.networks().includes(parked.network)

  async function add(name: string, kind: WarmKind): Promise<void> {
    const networks = options.networks()
    const [only] = networks.length === 1 ? networks : []
    const home = lastNetwork !== undefined && networks.includes(lastNetwork) ? lastNetwork : only
    let parked: Kept["parked"]
    const place = async (tap: TapPlace) => {
      if (home === undefined) return tap
      parked = { network: home, tap: await network.parkTap(home, tap) }
      return parked.tap
    }
    try {
      const { member, volume } = await maker.spare(kind, uids, place)
      failed.delete(name)
      kept.set(member, { kind: name, of: kind, volume, parked })
    } catch (error) {
      failed.set(name, looks)
      await dropped(parked)
      if (!closed) log("host: no clone for the pool", { image: kind.image, why: String(error).slice(0, 500) })
    }
  }

  function look(): void {
    cancel = undefined
    working = work()
      .catch((error: unknown) => log("host: the pool", { why: String(error).slice(0, 500) }))
      .finally(() => {
        working = undefined
        later()
      })
  }
  later()

  /** The size of a volume may be said or not. */
  const alike = (one: WarmKind, two: WarmKind) =>
    nameOf({ ...one, sizeBytes: one.sizeBytes ?? two.sizeBytes ?? 0 }) ===
    nameOf({ ...two, sizeBytes: two.sizeBytes ?? one.sizeBytes ?? 0 })

  return {
    mtu: options.mtu,
    reserve(kind, wanted) {
      const fits = engine.members().filter(({ id }) => {
        const found = kept.get(id)
        return found !== undefined && !reserved.has(id) && alike(found.of, kind) && isThere(found)
      })
      const member = fits.find(({ id }) => kept.get(id)?.parked?.network === wanted) ?? fits[0]
      if (member) reserved.add(member.id)
      return member
    },
    giveUp(member) {
      reserved.delete(member)
      return end(member)
    },
    taken(member) {
      reserved.delete(member)
      const found = kept.get(member)
      if (found) delete found.parked
    },
    used(kind, usedIn) {
      usedAt = looks
      lastNetwork = usedIn
      // A snapshot may go at any time: of its kind clones wait where a call says so.
      if (targets.length === 0 || kind.snapshot !== undefined) return later()
      if (nameOf(launched.at(-1) ?? kind) !== nameOf(kind) || launched.length === 0) {
        const at = launched.findIndex((each) => nameOf(each) === nameOf(kind))
        if (at >= 0) launched.splice(at, 1)
        launched.push(kind)
        launched.splice(0, launched.length - kindLimit)
        writeKinds(path, launched, log)
      }
      later()
    },
    wish(resource, wished) {
      if (wished && wished.count > 0) wishes.set(resource, wished)
      else wishes.delete(resource)
      later()
    },
    state: () => ({ wanted: wantedCount, members: engine.members().map(({ pid }) => pid) }),
    async close() {
      closed = true
      cancel?.()
      await engine.close()
      await working
      for (const { volume } of kept.values()) await maker.forget(volume)
    },
  }
}

/** t3.micro's, the smallest that is usual. */
const defaultSize = { vcpus: 2, memoryMiB: 1024 }

function readKinds(path: string): WarmKind[] {
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"))
    return Array.isArray(found) ? found.filter(isKind).slice(-kindLimit) : []
  } catch {
    return []
  }
}

function writeKinds(path: string, kinds: readonly WarmKind[], log: Log): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.new`, JSON.stringify(kinds), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  } catch (error) {
    log("host: the kinds that the pool is of could not be written down", { why: String(error) })
  }
}
