/** What one pass over a guest works on. */
import type { Disk, MachineState, Nic, WarmMember } from "#engine/hypervisor/types.ts"
import type { GuestSpec, GuestStatus } from "../protocol/types.ts"
import type { GuestRecord } from "./record.ts"
import type { Pass } from "./world.ts"

/** What need not survive this process: done again, it does no harm. */
export interface Memory {
  /** Cloud time of the first and of the last time the guest was asked to power off. */
  askedMs?: number
  repeatedMs?: number
  /** Process whose ports were plugged by us; 0 on an engine without processes. */
  pluggedPid?: number
  /** Its ports as the pass before made them, and of which wish. */
  made?: { readonly of: string; readonly nics: readonly Nic[] }
  /** The metadata document last written. */
  document?: string
  /** Why it boots now: a clone did not become what it was told to be. */
  refused?: string
  /** The clone of the pool that it is to take over, whose tap becomes that of `port`. */
  reserved?: WarmMember & { readonly port: string }
  /** It could not: it is started another way. */
  noneWaits?: true
  /** Its memory is being written. Resolves with why it was not. */
  saving?: Promise<string | undefined>
  /** This process has looked at it. */
  known?: true
  /** Nothing is held: ports, volumes and metadata were given back. */
  released?: boolean
}

/** A pass towards a wish, which steps may rely on. */
export interface StartScene extends Scene {
  readonly wish: GuestSpec
}

export interface Scene extends Pass {
  readonly id: string
  /** Undefined: it should be absent. */
  readonly wish: GuestSpec | undefined
  readonly memory: Memory
  record: GuestRecord | undefined
  machine: MachineState
  disks: readonly Disk[] | undefined
  nics: readonly Nic[] | undefined
}

export const isAlive = (machine: MachineState) => machine.phase !== "absent" && machine.phase !== "exited"

/** Ids of the volumes, networks and ports that a guest's process may hold. */
export function heldBy(record: GuestRecord | undefined): ReadonlySet<string> {
  const ports = (record?.ports ?? []).flatMap(({ network, port }) => [network, port])
  return new Set([...(record?.volumes ?? []), ...ports])
}

/** The counters of what was carried out last, or of what is wished when nothing was. */
export function counters({ record, wish }: Scene): { readonly starts: number; readonly resets: number } {
  if (record && record.starts >= 0) return { starts: record.starts, resets: record.resets }
  return { starts: wish?.starts ?? 0, resets: wish?.resets ?? 0 }
}

/** Tells one run of a guest from another: what was seen of the one says nothing of the other. */
export const runOf = ({ starts, resets }: Pick<GuestStatus, "starts" | "resets">, pid: number | undefined) =>
  `${starts}.${resets}.${pid ?? 0}`

export function onStatus(scene: Scene): GuestStatus {
  const { pid, machineVersion, cause } = scene.machine
  const now = counters(scene)
  const { notResumed } = scene.record ?? {}
  const crashed = { code: "crashed", message: "the guest's kernel panicked", final: true } as const
  return {
    kind: "guest",
    phase: "on",
    ...now,
    checks: scene.world.checks.of(scene.id, runOf(now, pid)),
    ...(pid === undefined ? {} : { pid }),
    ...(machineVersion === undefined ? {} : { machineVersion }),
    ...(notResumed?.starts === now.starts ? { memoryLost: notResumed.why } : {}),
    ...(cause === "guest-panic" ? { trouble: crashed } : {}),
  }
}
