/** Warm templates: finds the one that fits, makes those that are missing, and clones. Start reading here. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import path from "node:path"
import { timed } from "#lib/trace.ts"
import type { MachineSpec, WarmTemplates } from "../../types.ts"
import { bootId, end, isAlive } from "../process.ts"
import { readRecord } from "../record.ts"
import { findLaunched } from "../spawn.ts"
import type { Workshop } from "../start.ts"
import { isTellable } from "./agent.ts"
import { type Clone, startClone } from "./clone.ts"
import { makeTemplate, removeNamespace, tryTemplate } from "./make.ts"
import { openPool, type PoolOptions } from "./pool.ts"
import { isKey, openTemplateFolder, type Template } from "./template-folder.ts"
import { isUntouched, templateKey } from "./template-key.ts"

export interface TemplatesOptions {
  readonly workshop: Workshop
  /** Holds the templates. */
  readonly directory: string
  /** Holds what concerns the machine that is being made a template of. */
  readonly runDirectory: string
  /** Network namespace of that machine. */
  readonly namespace: string
  /** Of the clones that wait. */
  readonly pool: Pick<PoolOptions, "runDirectory" | "guests" | "namespace">
  /** How long an agent may take. */
  readonly agentMs: number
}

export interface Templates extends WarmTemplates {
  /** A clone of the template that fits; undefined where there is none or it does not load, and the trace says why. */
  clone(spec: MachineSpec, directory: string, onChange: () => void): Promise<Clone | undefined>
  /** A clone of this template went wrong: no other is made of it. */
  distrust(key: string): void
  close(): Promise<void>
}

/** What could not be made is not tried again for this long. */
const patienceMs = 600_000
/** A template in use holds its RAM, as far as it is not zeroes, in the host's: so many, and so long after the last clone was made. */
const loadedLimit = 4
const idleMs = 600_000
/** A clone that is being started needs it open for this long at most. */
const startMs = 60_000

export async function openTemplates(options: TemplatesOptions): Promise<Templates> {
  const { workshop, directory, runDirectory, namespace, agentMs } = options
  const { binary, host, clock, log } = workshop
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  mkdirSync(runDirectory, { recursive: true, mode: 0o700 })
  await clearLeftovers(options)
  const folder = openTemplateFolder(directory)
  folder.tidy(clock.wallMs())
  const pool = await openPool({ ...options.pool, workshop, agentMs })
  /** The last one used stands last. */
  const loaded = new Map<string, { readonly template: Promise<Template>; readonly usedMs: number }>()
  const loadedSizes = new Map<string, number>()
  const failures = new Map<string, { readonly why: string; readonly atMs: number }>()
  let making: Promise<unknown> = Promise.resolve()
  const closing = new AbortController()

  const unload = (key: string) => {
    const template = loaded.get(key)?.template
    loaded.delete(key)
    loadedSizes.delete(key)
    void template?.then(({ memory, state }) => [memory, state].forEach((each) => each.close())).catch(() => {})
  }
  const unloadIdle = () => {
    for (const [key, { usedMs }] of loaded) {
      const idle = clock.monotonicMs() - usedMs
      if (idle > idleMs || (idle > startMs && loaded.size > loadedLimit)) unload(key)
    }
  }
  const tidy = (keep?: string) =>
    folder.tidy(clock.wallMs(), keep).forEach((key) => {
      unload(key)
      pool.drop(key)
    })
  const timer = setInterval(() => {
    unloadIdle()
    tidy()
  }, startMs)
  timer.unref()
  const keep = (key: string, template: Promise<Template>) => {
    loaded.delete(key)
    loaded.set(key, { template, usedMs: clock.monotonicMs() })
    const size = ({ memory, state }: Template) => {
      if (loaded.get(key)?.template === template) loadedSizes.set(key, memory.bytes + state.bytes)
    }
    template.then(size, () => {})
    unloadIdle()
    return template
  }
  /** One that is damaged goes. */
  const drop = (key: string, why: string) => {
    log(`template ${key} is given up: ${why}`)
    failures.set(key, { why, atMs: clock.monotonicMs() })
    unload(key)
    pool.drop(key)
    folder.remove(key)
  }
  const load = (key: string) => keep(key, loaded.get(key)?.template ?? folder.load(key))
  const failure = (key: string) => {
    const found = failures.get(key)
    if (!found || clock.monotonicMs() - found.atMs > patienceMs) return undefined
    return `the last template could not be used: ${found.why}`
  }
  /** The key of the template that fits, or why there is none. */
  const find = (spec: MachineSpec): { readonly key: string } | string => {
    const found = templateKey(spec, binary, host)
    if (typeof found === "string") return found
    return folder.has(found.key) ? found : (failure(found.key) ?? "there is no warm template of its kind yet")
  }

  const make = async (like: MachineSpec, uid: number): Promise<string> => {
    const key = templateKey(like, binary, host)
    if (typeof key === "string") throw new Error(key)
    if (folder.has(key.key)) return key.key
    const failed = failure(key.key)
    if (failed !== undefined) throw new Error(failed)
    closing.signal.throwIfAborted()
    const work = mkdtempSync(path.join(directory, ".making-"))
    const machine = path.join(runDirectory, "machine")
    const way = { key, like, uid, work, directory: machine, namespace, workshop, agentMs, signal: closing.signal }
    try {
      await makeTemplate(way)
      const template = await folder.seal(work, key, clock.wallMs())
      await keep(key.key, Promise.resolve(template))
      await tryTemplate({ ...way, work: runDirectory }, template)
      const published = await folder.publish(work, template)
      await keep(key.key, Promise.resolve(published))
      tidy(key.key)
      return key.key
    } catch (error) {
      if (!closing.signal.aborted) drop(key.key, error instanceof Error ? error.message : String(error))
      throw error
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }

  return {
    make(like, uid) {
      const turn = making.then(() => make(like, uid))
      making = turn.catch(() => {})
      return turn
    },
    has: async (name) => isKey(name) && folder.has(name),
    async remove(name) {
      if (!isKey(name)) return
      unload(name)
      pool.drop(name)
      folder.remove(name)
    },
    async missing(like) {
      const found = find(like)
      return typeof found === "string" ? found : undefined
    },
    async clone(spec, place, onChange) {
      const why = (reason: string) =>
        timed(
          "command",
          () => `boots: ${reason}`,
          () => undefined,
        )
      if (!spec.identity) return undefined
      if (!isTellable(spec.identity)) return why("an agent cannot be told its identity")
      const found = find(spec)
      if (typeof found === "string") return why(found)
      if (!isUntouched(spec)) return why("its disk has been written to")
      const { fromPool } = spec
      const pooled = fromPool === undefined ? undefined : await pool.take(fromPool, found.key, spec, place, onChange)
      if (fromPool !== undefined && !pooled) return undefined
      if (pooled)
        return timed(
          "command",
          () => `clones template ${found.key}, from the pool`,
          () => pooled,
        )
      try {
        const template = await load(found.key)
        return await timed(
          "command",
          () => `clones template ${found.key}`,
          () => startClone(spec, place, workshop, onChange, template, agentMs),
        )
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        drop(found.key, reason)
        return why(`template ${found.key} is refused: ${reason}`)
      }
    },
    loadedBytes: () => [...loadedSizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    pool: {
      async add(like, uids, place) {
        const found = find(like)
        if (typeof found === "string") throw new Error(found)
        if (!isUntouched(like)) throw new Error("its disk has been written to")
        return pool.add(like, uids, found.key, await load(found.key), place)
      },
      members: pool.members,
      end: pool.end,
      close: pool.close,
    },
    distrust: (key) => drop(key, "a clone of it did not take its identity"),
    async close() {
      clearInterval(timer)
      closing.abort(new Error("the engine is closed"))
      await making
      await pool.close()
      for (const key of loaded.keys()) unload(key)
    },
  }
}

/** Of a process of ours that was killed while it made a template: the machine, its namespace, half a template. */
async function clearLeftovers({ directory, runDirectory, namespace, workshop }: TemplatesOptions): Promise<void> {
  const machine = path.join(runDirectory, "machine")
  const record = readRecord(machine)
  if (record && record.bootId === bootId()) {
    const found = record.process ?? (await findLaunched(machine, record.nonce))
    if (found && isAlive(found)) await end(found, workshop.clock)
    await workshop.cgroups.remove(record.id)
  }
  rmSync(machine, { recursive: true, force: true })
  rmSync(path.join(runDirectory, "machine.qcow2"), { force: true })
  await removeNamespace(namespace)
  for (const name of readdirSync(directory).filter((each) => each.startsWith(".making-")))
    rmSync(path.join(directory, name), { recursive: true, force: true })
}
