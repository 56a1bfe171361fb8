/** Has templates made of the kinds of machine that were launched: in the background, one at a time, when the host has nothing to do. */
import type { MachineSpec, WarmTemplates } from "#engine/hypervisor/types.ts"
import type { Log, Timer } from "../types.ts"

export interface Warmer {
  /** A machine like this one was launched: the next one shall be a clone. Does nothing where there is a template already. */
  want(spec: MachineSpec): void
  close(): void
}

export interface WarmerOptions {
  readonly templates: WarmTemplates
  readonly uid: number
  readonly quietMs: number
  readonly timer: Timer
  /** Resources that are not as wished yet. */
  readonly pending: () => number
  readonly log: Log
}

const wantedLimit = 8

export function createWarmer({ templates, uid, quietMs, timer, pending, log }: WarmerOptions): Warmer {
  /** By kind, as far as a host can tell: the newest machine of each, since its disk is there the longest. */
  const wanted = new Map<string, MachineSpec>()
  let cancel: (() => void) | undefined
  let busy = false
  let quiet = false
  let closed = false
  let said = ""

  const later = () => {
    if (!closed && !busy && wanted.size > 0) cancel ??= timer(quietMs, look)
  }
  function look(): void {
    cancel = undefined
    if (closed) return
    // Quiet twice in a row: a launch between two others is not the end of them.
    const now = pending() === 0
    const [first] = wanted
    if (!now || !quiet || first === undefined) {
      quiet = now
      return later()
    }
    quiet = false
    busy = true
    wanted.delete(first[0])
    void make(first[1]).finally(() => {
      busy = false
      later()
    })
  }
  async function make(spec: MachineSpec): Promise<void> {
    try {
      if ((await templates.missing(spec)) === undefined) return
      await templates.make(spec, uid)
      log("host: a warm template is ready", { like: spec.id, vcpus: spec.vcpus, memoryMiB: spec.memoryMiB })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      // The same for each launch of its kind: once is enough.
      if (why !== said && !closed) log("host: no warm template", { like: spec.id, why: why.slice(0, 500) })
      said = why
    }
  }
  return {
    want(spec) {
      const { boot, vcpus, memoryMiB, disks, nics } = spec
      wanted.set(JSON.stringify([boot, vcpus, memoryMiB, disks.length, nics.length]), spec)
      for (const oldest of wanted.keys()) if (wanted.size > wantedLimit) wanted.delete(oldest)
      later()
    },
    close() {
      closed = true
      cancel?.()
    },
  }
}
