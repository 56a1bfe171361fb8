/**
 * Has templates made of the kinds of guest that were launched and had to boot: in the background, one at a time, when the host has
 * nothing to do. What is wanted is kept in a file until it was tried, so that a restart of this process forgets no launch.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type { MachineSpec, WarmTemplates } from "#engine/hypervisor/types.ts"
import type { WarmKind } from "../protocol/types.ts"
import type { Log, Timer } from "../types.ts"
import { isKind, nameOf, type TemplateMaker } from "./template-maker.ts"

export interface Warmer {
  /** A guest of this kind was launched: the next one shall be a clone. Does nothing where there is a template for its machine. */
  want(machine: MachineSpec, kind: WarmKind): void
  close(): void
}

export interface WarmerOptions {
  readonly templates: Pick<WarmTemplates, "missing">
  readonly maker: Pick<TemplateMaker, "make">
  /** Holds what is wanted. */
  readonly path: string
  readonly quietMs: number
  readonly timer: Timer
  /** Resources that are not as wished yet. */
  readonly pending: () => number
  readonly log: Log
}

const wantedLimit = 8

export function createWarmer({ templates, maker, path, quietMs, timer, pending, log }: WarmerOptions): Warmer {
  const wanted = new Map(readWanted(path).map((kind) => [nameOf(kind), kind]))
  let cancel: (() => void) | undefined
  let busy = false
  let quiet = false
  let closed = false
  let said = ""

  const later = () => {
    if (!closed && !busy && wanted.size > 0) cancel ??= timer(quietMs, look)
  }
  const keep = () => {
    try {
      writeWanted(path, [...wanted.values()])
    } catch (error) {
      log("host: the templates that are wanted could not be written down", { why: String(error) })
    }
  }
  const add = (kind: WarmKind) => {
    if (closed || wanted.has(nameOf(kind))) return
    wanted.set(nameOf(kind), kind)
    for (const oldest of wanted.keys()) if (wanted.size > wantedLimit) wanted.delete(oldest)
    keep()
    later()
  }
  function look(): void {
    cancel = undefined
    if (closed) return
    // Quiet twice in a row: a launch between two others is not the end of them.
    const now = pending() === 0
    const [first] = wanted.values()
    if (!now || !quiet || first === undefined) {
      quiet = now
      return later()
    }
    quiet = false
    busy = true
    void make(first).finally(() => {
      busy = false
      later()
    })
  }
  async function make(kind: WarmKind): Promise<void> {
    const { image, vcpus, memoryMiB } = kind
    try {
      await maker.make(kind)
      log("host: a warm template is ready", { image, vcpus, memoryMiB })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      // The same for each launch of its kind: once is enough.
      if (why !== said && !closed) log("host: no warm template", { image, why: why.slice(0, 500) })
      said = why
    }
    // Ended by us: the next process tries.
    if (closed) return
    wanted.delete(nameOf(kind))
    keep()
  }
  later()
  return {
    want(machine, kind) {
      templates.missing(machine).then(
        (why) => (why === undefined ? undefined : add(kind)),
        // Its disk is gone already.
        () => add(kind),
      )
    },
    close() {
      closed = true
      cancel?.()
    },
  }
}

function readWanted(path: string): readonly WarmKind[] {
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"))
    return Array.isArray(found) ? found.filter(isKind).slice(0, wantedLimit) : []
  } catch {
    return []
  }
}

function writeWanted(path: string, kinds: readonly WarmKind[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(`${path}.new`, JSON.stringify(kinds), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
