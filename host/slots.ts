/**
 * Slots: every home on a machine has a number of its own, from which follow the names of its namespaces, taps and tables, its
 * uids and its public pool. Kept below /run, so a reboot frees them all; the home remembers its number and gets it back.
 */
import { randomUUID } from "node:crypto"
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Uids } from "#engine/hypervisor/types.ts"
import { DatabaseSync } from "node:sqlite"
import { bootId, startTime } from "./supervise/process.ts"

export interface Slot {
  readonly number: number
  /** `fr<number>`; every name on the machine starts with it. */
  readonly prefix: string
  /** Guests run as this plus their number (0 to 9,899). */
  readonly uidBase: number
  /** Users of the home's own services, above those of guests. */
  readonly uids: {
    readonly guestServices: number
    readonly dhcp: number
    readonly nameRelay: number
    readonly serialConsole: number
    /** Of the machine that others will be cloned from. */
    readonly template: number
    /** Of clones that wait, and of guests that were such. */
    readonly pool: Uids
  }
  /** The number-th /20 of 198.18.0.0/15. */
  readonly publicCidr: string
  /** Forget the holder; the home may be removed. Only when no guest is left. */
  release(): Promise<void>
}

/** The last /20 of the range stays free: the links between namespaces take their addresses from it. */
export const slotCount = 31

export class SlotError extends Error {}

interface Holder {
  readonly home: string
  readonly pid: number
  readonly startTime: string
  readonly bootId: string
}

export interface SlotOptions {
  /** The home's folder; it must exist. */
  readonly home: string
  /** Where slots are claimed; /run/fractus/slots by default. */
  readonly directory?: string
  /** Names of the network namespaces of this machine. */
  readonly namespaces?: () => Promise<readonly string[]>
}

/**
 * Claim the home's slot for this process. A home gets back the slot it had, unless another took it when it had neither a living
 * holder nor namespaces. Throws SlotError when another process holds this home, or when no slot is free.
 */
export async function claimSlot(options: SlotOptions): Promise<Slot> {
  const { directory = "/run/fractus/slots", namespaces = networkNamespaces } = options
  const home = await realpath(options.home)
  await mkdir(directory, { recursive: true, mode: 0o755 })
  return alone(directory, async () => {
    const spaces = await namespaces()
    const holders = new Map<number, Holder>()
    for (let number = 0; number < slotCount; number++) {
      const holder = await holderOf(directory, number)
      if (holder) holders.set(number, holder)
    }
    const remembered = Number.parseInt(await readFile(join(home, "slot"), "utf8").catch(() => "-1"), 10)
    const number = choose({ home, holders, remembered, spaces })
    await hold(directory, number, home)
    await writeFile(join(home, "slot.new"), `${number}\n`, { mode: 0o644 })
    await rename(join(home, "slot.new"), join(home, "slot"))
    return slot(number, () => rm(join(directory, `${number}`), { recursive: true, force: true }))
  })
}

function choose(known: {
  readonly home: string
  readonly holders: ReadonlyMap<number, Holder>
  readonly remembered: number
  readonly spaces: readonly string[]
}): number {
  const { home, holders, remembered, spaces } = known
  for (const [number, holder] of holders) {
    if (holder.home !== home) continue
    if (isAlive(holder) && holder.pid !== process.pid) throw new SlotError(`${home} is in use by process ${holder.pid}`)
    return number
  }
  const inhabited = (number: number) => spaces.some((name) => name.startsWith(`fr${number}-`))
  const untouched = (number: number) => !holders.has(number) && !inhabited(number)
  const abandoned = (number: number) => holders.has(number) && !isAlive(holders.get(number)!) && !inhabited(number)
  // Its own guests may be what inhabits the slot that it remembers.
  if (remembered >= 0 && remembered < slotCount && !holders.has(remembered)) return remembered
  const numbers = Array.from({ length: slotCount }, (_, number) => number)
  const free = numbers.find(untouched) ?? numbers.find(abandoned)
  if (free === undefined) throw new SlotError(`all ${slotCount} slots of this machine are taken`)
  return free
}

/**
 * One claim at a time on this machine. Node has no flock, so the lock is SQLite's, which is an fcntl lock: the kernel lets go of
 * it when its process dies, however that happens.
 */
async function alone<T>(directory: string, action: () => Promise<T>): Promise<T> {
  const lock = new DatabaseSync(join(directory, ".lock"))
  try {
    lock.exec("PRAGMA busy_timeout = 20000")
    lock.exec("BEGIN EXCLUSIVE")
    return await action()
  } finally {
    lock.close()
  }
}

/** The directory appears with its record inside, or not at all. */
async function hold(directory: string, number: number, home: string): Promise<void> {
  const holder: Holder = { home, pid: process.pid, startTime: startTime(process.pid) ?? "", bootId: bootId() }
  const path = join(directory, `${number}`)
  const newborn = join(directory, `.${randomUUID()}`)
  await mkdir(newborn, { mode: 0o755 })
  await writeFile(join(newborn, "holder.json"), JSON.stringify(holder))
  await rm(path, { recursive: true, force: true })
  await rename(newborn, path)
  for (const name of await readdir(directory)) {
    if (/^\.[0-9a-f-]{36}$/.test(name)) await rm(join(directory, name), { recursive: true, force: true })
  }
}

async function holderOf(directory: string, number: number): Promise<Holder | undefined> {
  const text = await readFile(join(directory, `${number}`, "holder.json"), "utf8").catch(() => undefined)
  if (text === undefined) return undefined
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `hold` alone, in a directory of root's
  return JSON.parse(text) as Holder
}

const isAlive = (holder: Holder) => holder.bootId === bootId() && startTime(holder.pid) === holder.startTime

async function networkNamespaces(): Promise<readonly string[]> {
  return readdir("/run/netns").catch(() => [])
}

function slot(number: number, release: () => Promise<void>): Slot {
  const uidBase = 2_000_000 + number * 10_000
  // A /20 is 16 steps of the third byte; 198.18.0.0/15 has 512 of them.
  const third = number * 16
  return {
    number,
    prefix: `fr${number}`,
    uidBase,
    uids: {
      guestServices: uidBase + 9_900,
      dhcp: uidBase + 9_901,
      nameRelay: uidBase + 9_902,
      template: uidBase + 9_903,
      serialConsole: uidBase + 9_904,
      pool: { first: uidBase + 9_910, count: 90 },
    },
    publicCidr: `198.${18 + (third >> 8)}.${third & 255}.0/20`,
    release,
  }
}
