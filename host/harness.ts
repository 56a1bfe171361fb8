/** For tests: a host over engines in memory, each call of which can be made to fail. Imported by tests alone. */
import { existsSync, readdirSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "#lib/clock.ts"
import { openSim } from "#engine/hypervisor/sim/sim.ts"
import { openSimNetwork } from "#engine/network/sim/open.ts"
import { openSimStorage } from "#engine/storage/sim/storage.ts"
import { memoryMetadata } from "./metadata.ts"
import type {
  Assignment,
  GuestSpec,
  GuestStatus,
  HostConnection,
  Observed,
  PortSpec,
  Spec,
  Status,
  Trouble,
} from "./protocol/types.ts"
import { createHost } from "./reconcile/host.ts"
import type { HostOptions } from "./types.ts"

export type Engines = Awaited<ReturnType<typeof simEngines>>

/** A host of which a test can say when a call fails, or when it dies in the middle of one. */
export interface Life {
  /** Number of the call, over all engines, that fails or in which the host dies; -1 for none. */
  at: number
  readonly end: "throws" | "dies before" | "dies after"
  next: number
  dead: boolean
  onDeath?: () => void
}
export const longLife = (): Life => ({ at: -1, end: "throws", next: 0, dead: false })

/** Engines without delays worth waiting for, and every call that hosts made of them. */
export async function simEngines() {
  const clock = systemClock(200)
  const directory = await mkdtemp(join(tmpdir(), "fractus-host-"))
  const [hypervisor, network, storage] = await Promise.all([
    openSim({ clock }),
    openSimNetwork({ publicCidr: "198.18.0.0/20" }),
    openSimStorage({ home: directory, images: [{ id: "ami-1", sizeBytes: 1 << 20 }] }),
  ])
  const dispose = async () => {
    await hypervisor.close()
    await rm(directory, { recursive: true, force: true })
  }
  return { clock, directory, calls: [] as string[], hypervisor, network, storage, metadata: memoryMetadata(), dispose }
}

const never = new Promise<never>(() => {})

function watched<Engine extends object>(engine: Engine, name: string, calls: string[], life: Life): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== "function" || key === "onChange") return member
      return async (...values: unknown[]) => {
        if (life.dead) return never
        calls.push(`${name}.${String(key)}${typeof values[0] === "string" ? ` ${values[0]}` : ""}`)
        const turn = life.next++ === life.at
        if (turn && life.end === "throws") throw new Error(`${name}.${String(key)} was made to fail`)
        life.dead ||= turn
        if (turn && life.end === "dies after") await Reflect.apply(member, target, values)
        if (turn) life.onDeath?.()
        return turn ? never : Reflect.apply(member, target, values)
      }
    },
  })
}

/** Images and keys of hibernated guests. */
export const filesOf = ({ directory }: Engines) =>
  ["hibernated", "keys/hibernation"].flatMap((folder) => {
    const path = join(directory, folder)
    return existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : []
  })

export function hostOver(engines: Engines, more: Partial<HostOptions> = {}, life = longLife()) {
  const { calls, clock, directory } = engines
  return createHost({
    hypervisor: watched(engines.hypervisor, "hypervisor", calls, life),
    network: watched(engines.network, "network", calls, life),
    storage: watched(engines.storage, "storage", calls, life),
    metadata: watched(engines.metadata, "metadata", calls, life),
    clock,
    images: {
      list: async () => [],
      find: async (id) => (id === "ami-1" ? { architecture: "x86_64", boot: { kind: "firmware" } } : undefined),
    },
    log: () => {},
    uidBase: 2_000_000,
    publicCidr: "198.18.0.0/20",
    stateDirectory: directory,
    shutdownMs: 20_000,
    backoffMs: { first: 2, longest: 20 },
    ...more,
  })
}

/** What the control plane sees: the last status of each resource, and all of them in order. */
export function watch(host: HostConnection) {
  const seen: Observed[] = []
  const last = new Map<string, Observed>()
  let changed: (() => void) | undefined
  let stopped = false
  host.onObserved((observed) => {
    seen.push(observed)
    last.set(observed.resource, observed)
    changed?.()
  })
  async function find(accept: (observed: Observed) => boolean, resource: string): Promise<Observed> {
    const deadlineMs = performance.now() + 10_000
    for (;;) {
      const observed = last.get(resource)
      if (observed && accept(observed)) return observed
      const leftMs = deadlineMs - performance.now()
      if (stopped) return new Promise<never>(() => {})
      if (leftMs <= 0) throw new Error(`${resource}: nothing but ${JSON.stringify(observed)}`)
      await new Promise<void>((resolve) => {
        changed = resolve
        setTimeout(resolve, Math.min(leftMs, 50))
      })
    }
  }
  /** Waits for a phase without trouble. */
  async function until(resource: string, phase: Status["phase"], generation: number): Promise<Status> {
    const reached = ({ generation: seen, status }: Observed) =>
      seen >= generation && status.phase === phase && !status.trouble
    return (await find(reached, resource)).status
  }
  return {
    seen,
    /** Phases of one resource in order, without repetitions. */
    phases: (resource: string) =>
      seen
        .filter((each) => each.resource === resource)
        .map((each) => each.status.phase)
        .filter((phase, index, all) => phase !== all[index - 1]),
    until,
    /** Who waits waits for ever. */
    stop: () => void (stopped = true),
    forget: () => last.clear(),
    /** The trouble of a resource, once it has one of this code. */
    async troubled(resource: string, code: Trouble["code"]): Promise<Trouble> {
      const observed = await find((each) => each.status.trouble?.code === code, resource)
      return observed.status.trouble!
    },
    async guestUntil(resource: string, phase: GuestStatus["phase"], generation: number): Promise<GuestStatus> {
      const status = await until(resource, phase, generation)
      if (status.kind !== "guest") throw new Error(`${resource} is a ${status.kind}`)
      return status
    },
  }
}

export const port: PortSpec = {
  id: "eni-1",
  number: 70_000,
  subnet: "subnet-1",
  mac: "02:00:00:00:00:01",
  address: "10.0.0.10",
  hostName: "ip-10-0-0-10",
  groups: ["sg-1"],
  checkSource: true,
}
export const volume: Spec = { kind: "volume", id: "vol-1", sizeBytes: 1 << 30, image: "ami-1" }
export const network: Spec = {
  kind: "network",
  id: "vpc-1",
  number: 1,
  cidr: "10.0.0.0/16",
  subnets: [{ id: "subnet-1", cidr: "10.0.0.0/24", gateway: "10.0.0.1", internet: true }],
  domainName: "ec2.internal",
}
export const group: Spec = { kind: "group", network: "vpc-1", group: { id: "sg-1", ingress: [], egress: [] } }
export const guest: GuestSpec = {
  kind: "guest",
  power: "on",
  starts: 1,
  resets: 0,
  force: false,
  number: 7,
  architecture: "x86_64",
  vcpus: 1,
  memoryMiB: 128,
  uuid: "ec200000-0000-4000-8000-000000000000",
  image: "ami-1",
  disks: [{ volume: "vol-1", serial: "vol1", deviceName: "/dev/xvda", bootIndex: 0 }],
  ports: [{ network: "vpc-1", port }],
  metadata: { guest: "i-1", enabled: true, tokens: "optional", hopLimit: 1, tree: {}, domainName: "ec2.internal" },
}
export const template: Spec = { kind: "template", image: "ami-1", vcpus: 1, memoryMiB: 128 }
/** One guest and all it needs, and a template of its kind, each at generation 1. */
export const everything: readonly Assignment[] = [
  { resource: "i-1", generation: 1, spec: guest },
  { resource: "sg-1", generation: 1, spec: group },
  { resource: "vpc-1", generation: 1, spec: network },
  { resource: "vol-1", generation: 1, spec: volume },
  { resource: "fl-1", generation: 1, spec: template },
]
