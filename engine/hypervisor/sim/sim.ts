import { Readable } from "node:stream"
import type { Clock } from "#lib/clock.ts"
import { type MemoryImage, readMemoryImage, UnusableMemory, writeMemoryImage } from "../memory-image.ts"
import { simPicture } from "./picture.ts"
import type { HypervisorEngine, MachinePhase, MachineSpec, MachineState } from "../types.ts"

/** How long a simulated machine takes, in cloud milliseconds: real time is this divided by `clock.speed`. */
export interface SimDelays {
  /** From `prepare` to a machine that waits for its first instruction. */
  readonly prepareMs: number
  readonly resumeMs: number
  /** From `requestShutdown` until the guest has powered itself off. */
  readonly shutdownMs: number
  readonly killMs: number
  /** To write a machine's memory. */
  readonly hibernateMs: number
}

export const defaultDelays: SimDelays = { prepareMs: 50, resumeMs: 20, shutdownMs: 2000, killMs: 20, hibernateMs: 500 }

/** A machine's memory here is what it said. Throws UnusableMemory. */
async function remember(machine: Machine, id: string, image: MemoryImage): Promise<void> {
  const { head, rest, close } = await readMemoryImage(image)
  try {
    if (head !== id) throw new UnusableMemory("its image is of another machine")
    const said: Buffer[] = []
    for await (const bytes of rest) said.push(bytes)
    machine.console = Buffer.concat(said).toString()
    machine.resumed = true
  } finally {
    await close()
  }
}

/** The engine, and what a test may make a guest do that no caller of an engine can. */
export interface SimHypervisor extends HypervisorEngine {
  /** The guest powers itself off, as `poweroff` inside would. */
  powerOff(id: string): void
  /** The machine is gone, as by SIGKILL from outside. */
  crash(id: string): void
  /** The guest's kernel panics; it stays where it is. */
  panic(id: string): void
}

interface Machine {
  phase: Exclude<MachinePhase, "absent">
  cause?: MachineState["cause"]
  /** Counts starts, so that a timer of an earlier run does not end a later one. */
  run: number
  console: string
  preparing?: Promise<void>
  /** It goes on from hibernation, and has not run since. */
  resumed?: boolean
}

const machineVersion = "sim-1"
const consoleLimit = 65_536

/**
 * Machines that live in memory and run no code. They end with the process: after a reopen the list is empty, and who
 * reconciles starts them again. Nothing is written, so there is no directory to name.
 */
export async function openSim(options: {
  readonly clock: Clock
  readonly delays?: Partial<SimDelays>
}): Promise<SimHypervisor> {
  const delays = { ...defaultDelays, ...options.delays }
  const machines = new Map<string, Machine>()
  const listeners = new Set<(id: string) => void>()
  const timers = new Map<NodeJS.Timeout, () => void>()
  let closed = false

  /** Wakes early, too, when the engine is closed. */
  const after = (cloudMs: number) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        timers.delete(timer)
        resolve()
      }
      const timer = setTimeout(done, cloudMs / options.clock.speed)
      timers.set(timer, done)
    })

  const need = (id: string): Machine => {
    const machine = machines.get(id)
    if (!machine) throw new Error(`machine ${id}: unknown`)
    return machine
  }
  const needAlive = (id: string): Machine => {
    const machine = need(id)
    if (machine.phase === "exited") throw new Error(`machine ${id}: has exited`)
    return machine
  }
  const end = (id: string, machine: Machine, cause: NonNullable<MachineState["cause"]>) => {
    if (closed || machine.phase === "exited") return
    machine.phase = "exited"
    machine.cause = cause
    for (const listener of listeners) listener(id)
  }
  const write = (machine: Machine, line: string) => {
    machine.console = (machine.console + line + "\r\n").slice(-consoleLimit)
  }
  const state = (id: string): MachineState => {
    const machine = machines.get(id)
    if (!machine) return { phase: "absent" }
    return { phase: machine.phase, machineVersion, ...(machine.cause && { cause: machine.cause }) }
  }

  /** Kinds of machine that have a template. */
  const kinds = new Set<string>()
  const kindOf = ({ boot, vcpus, memoryMiB }: MachineSpec) => JSON.stringify([boot, vcpus, memoryMiB])
  const isClone = (spec: MachineSpec) => spec.identity !== undefined && kinds.has(kindOf(spec))

  return {
    name: "sim",
    templates: {
      async make(like) {
        check(like)
        await after(delays.prepareMs + delays.resumeMs)
        kinds.add(kindOf(like))
        return kindOf(like)
      },
      has: async (name) => kinds.has(name),
      remove: async (name) => void kinds.delete(name),
      missing: async (like) => (kinds.has(kindOf(like)) ? undefined : "there is no warm template of its kind yet"),
      loadedBytes: () => 0,
    },
    probe: async () => ({ accelerator: "none", version: "1", cpus: Infinity, memoryMiB: Infinity }),
    list: async () => [...machines.keys()].toSorted(),
    async inspect(id) {
      await machines.get(id)?.preparing?.catch(() => {})
      return state(id)
    },

    async prepare(spec) {
      check(spec)
      let machine = machines.get(spec.id)
      if (machine?.preparing) await machine.preparing
      else if (!machine || machine.phase === "exited") {
        const known = machine
        const fresh: Machine = (machine ??= { phase: "exited", run: 0, console: "" })
        fresh.run++
        if (isClone(spec)) write(fresh, `simulated guest ${spec.id}: clones a template`)
        machines.set(spec.id, fresh)
        const prepare = async () => {
          try {
            if (spec.resumeFrom) await remember(fresh, spec.id, spec.resumeFrom)
            await after(delays.prepareMs)
            delete fresh.cause
            fresh.phase = "prepared"
          } catch (error) {
            if (!known) machines.delete(spec.id)
            throw error
          } finally {
            delete fresh.preparing
          }
        }
        fresh.preparing = prepare()
        await fresh.preparing
      }
      return state(spec.id)
    },

    async resume(id) {
      const machine = needAlive(id)
      if (machine.phase === "running") return
      const first = machine.phase === "prepared"
      await after(delays.resumeMs)
      if (machine.phase !== "prepared" && machine.phase !== "paused") return
      if (first && !machine.resumed) write(machine, `simulated guest ${id}: no code runs on the sim engine`)
      machine.phase = "running"
      delete machine.resumed
    },

    async hibernate(id, image) {
      const machine = needAlive(id)
      const { run, phase, cause } = machine
      if (phase === "prepared" || cause !== undefined)
        throw new Error(`machine ${id}: is ${cause ?? phase}, its memory cannot be kept`)
      machine.phase = "paused"
      const untouched = async () => {
        await after(delays.hibernateMs)
        if (closed || machine.run !== run || machine.phase !== "paused") throw new Error(`machine ${id}: was killed`)
      }
      try {
        await writeMemoryImage(image, id, Readable.from([Buffer.from(machine.console)]), untouched)
      } catch (error) {
        if (machine.run === run && machine.phase === "paused") machine.phase = "running"
        throw error
      }
      end(id, machine, "requested")
    },

    async whileStill(id, work) {
      const machine = machines.get(id)
      if (machine?.phase === "prepared") throw new Error(`machine ${id}: has not run yet`)
      if (machine?.phase !== "running") return work()
      machine.phase = "paused"
      try {
        return await work()
      } finally {
        // It may have been killed meanwhile.
        const { phase } = state(id)
        if (phase === "paused") machine.phase = "running"
      }
    },

    async requestShutdown(id) {
      const machine = needAlive(id)
      if (machine.phase !== "running") return
      const { run } = machine
      void after(delays.shutdownMs).then(() => machine.run === run && end(id, machine, "requested"))
    },

    async kill(id) {
      const machine = machines.get(id)
      if (machine?.preparing) await machine.preparing
      if (!machine || machine.phase === "exited") return
      await after(delays.killMs)
      end(id, machine, "killed")
    },

    async reset(id) {
      const machine = needAlive(id)
      delete machine.cause
      write(machine, `simulated guest ${id}: reset`)
    },

    async remove(id) {
      const machine = machines.get(id)
      if (machine && (machine.preparing || machine.phase !== "exited")) {
        throw new Error(`machine ${id}: is ${machine.phase}, not exited`)
      }
      machines.delete(id)
    },

    async consoleOutput(id, maxBytes) {
      const bytes = Buffer.from(need(id).console)
      return bytes.subarray(Math.max(0, bytes.length - maxBytes))
    },

    async screenshot(id) {
      const machine = needAlive(id)
      if (machine.phase === "prepared") throw new Error(`machine ${id}: is prepared, its display shows nothing`)
      return simPicture()
    },

    async interrupt(id) {
      const machine = needAlive(id)
      if (machine.phase !== "running") throw new Error(`machine ${id}: is ${machine.phase}, it takes no interrupt`)
    },

    // No code runs, so no agent does.
    guestAgent: async () => "none",

    async cpuTimes() {
      const alive = [...machines].filter(([, { phase }]) => phase !== "exited")
      return new Map(alive.map(([id, { run }]) => [id, { process: String(run), usedMs: 0 }]))
    },

    async limitCpu(id) {
      needAlive(id)
      return true
    },

    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },

    async close() {
      closed = true
      listeners.clear()
      for (const wake of timers.values()) wake()
    },

    powerOff: (id) => end(id, needAlive(id), "guest-shutdown"),
    crash: (id) => end(id, needAlive(id), "killed"),
    panic(id) {
      needAlive(id).cause = "guest-panic"
      for (const listener of listeners) listener(id)
    },
  }
}

function check(spec: MachineSpec): void {
  if (!Number.isSafeInteger(spec.vcpus) || spec.vcpus < 1) throw new Error(`machine ${spec.id}: bad vcpus`)
  if (!Number.isSafeInteger(spec.memoryMiB) || spec.memoryMiB < 1) throw new Error(`machine ${spec.id}: bad memoryMiB`)
}
