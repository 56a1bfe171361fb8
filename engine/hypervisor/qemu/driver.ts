import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { availableParallelism, totalmem } from "node:os"
import path from "node:path"
import type { Clock } from "#lib/clock.ts"
import { type HypervisorEngine, type MachineSpec, type MachineState, NoneWaits } from "../types.ts"
import { findAccelerator } from "./accelerator.ts"
import { openCgroups } from "./cgroup.ts"
import { checkSpec, isMachineId } from "./check.ts"
import { readConsole } from "./console-log.ts"
import { askGuestAgent, tellTime } from "./guest-agent.ts"
import { hibernateMachine, resumeMachine } from "./hibernation.ts"
import { attach, attachLater, endedState, type Machine, qmpPath } from "./machine.ts"
import { bootId, end, isAlive, type ProcessIdentity } from "./process.ts"
import { type MachineRecord, readRecord, writeRecord } from "./record.ts"
import { takePictures } from "./screenshot.ts"
import { isNoRing, keepInRing, openSerialPort, type SerialPort } from "./serial-port.ts"
import { findLaunched, makeCell } from "./spawn.ts"
import { startMachine } from "./start.ts"
import { type Clone, goOn } from "./warm/clone.ts"
import { openTemplates } from "./warm/templates.ts"

export interface QemuOptions {
  /** Holds what concerns living machines; best on a tmpfs. Absolute, at most 40 characters. */
  readonly runDirectory: string
  /** Holds what is remembered: the answer of the boot proof. */
  readonly stateDirectory: string
  /** Sets this home's control groups apart from another's: "fr0". */
  readonly prefix: string
  /** Name of the control group above the machines'; `prefix` if missing. */
  readonly cgroupName?: string
  readonly clock: Clock
  readonly log: (line: string) => void
  /** QEMU itself, if it is not the one of the distribution. */
  readonly binary?: string
  /** How long the agent of a clone may take; 10,000 by default. */
  readonly agentMs?: number
}

/** How often the consoles of running machines are moved from QEMU's memory to a file. */
const drainEveryMs = 5000
const adoptMs = 5000
const adoptAtOnce = 8

/** The process of a record whose writer was stopped before it could say which. Undefined when it made none, and will make none. */
async function findStarted(directory: string, record: MachineRecord): Promise<ProcessIdentity | undefined> {
  if (record.ending) return undefined
  const found = await findLaunched(directory, record.nonce)
  if (!found) writeRecord(directory, { ...record, ending: "unknown" })
  return found
}

/**
 * Machines as QEMU processes. Must run as root. Machines outlive the engine and its process: the next one that is
 * opened over the same `runDirectory` finds them, wherever the last one was stopped.
 */
export async function openQemu(options: QemuOptions): Promise<HypervisorEngine> {
  const { runDirectory, stateDirectory, clock, log } = options
  const binary = options.binary ?? "/usr/bin/qemu-system-x86_64"
  if (process.getuid?.() !== 0) throw new Error("the qemu engine must run as root")
  if (!existsSync(binary)) throw new Error(`${binary} is missing: install qemu-system-x86`)
  const guests = path.join(runDirectory, "guests")
  const directoryOf = (id: string) => path.join(guests, id)
  if (qmpPath(directoryOf("x".repeat(40))).length > 107) {
    throw new Error(`${runDirectory}: too long for the names of unix sockets below it`)
  }
  mkdirSync(guests, { recursive: true, mode: 0o700 })
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  const host = await findAccelerator(binary, stateDirectory, log)
  const cell = path.join(runDirectory, "cell")
  makeCell(cell, { kvm: host.accelerator === "kvm", hidden: [runDirectory, stateDirectory] })
  const cgroups = openCgroups(options.cgroupName ?? options.prefix)
  if (!cgroups.version) log("no control groups can be written: machines run without limits of CPU and memory")

  const machines = new Map<string, Machine>()
  const queues = new Map<string, Promise<unknown>>()
  /** Clones that wait for their first instruction. */
  const clones = new Map<string, Clone>()
  const listeners = new Set<(id: string) => void>()
  const tell = (id: string) => {
    for (const listener of listeners) listener(id)
  }

  /** One change at a time for each machine. */
  const alone = <T>(id: string, work: () => Promise<T>): Promise<T> => {
    const turn = (queues.get(id) ?? Promise.resolve()).then(work, work)
    queues.set(id, turn)
    const leave = () => queues.get(id) === turn && queues.delete(id)
    turn.then(leave, leave)
    return turn
  }
  const exists = (id: string) => isMachineId(id) && existsSync(directoryOf(id))
  const stateOf = (id: string): MachineState => {
    if (!exists(id)) return { phase: "absent" }
    const tap = clones.get(id)?.tap
    const state = machines.get(id)?.state() ?? endedState(directoryOf(id), bootId())
    return tap && state.phase === "prepared" ? { ...state, tap } : state
  }
  const needLive = (id: string): Machine => {
    const { phase } = stateOf(id)
    const machine = machines.get(id)
    if (phase === "absent") throw new Error(`machine ${id}: unknown`)
    if (phase === "exited" || !machine) throw new Error(`machine ${id}: has exited`)
    return machine
  }

  /** Takes over what an earlier process of ours left, in whatever state. */
  const adopt = async (id: string) => {
    const directory = directoryOf(id)
    const record = readRecord(directory)
    if (!record || record.bootId !== bootId()) return
    const found = record.process ?? (await findStarted(directory, record))
    if (!found || !isAlive(found)) return
    const full = { ...record, process: found }
    if (!record.process) writeRecord(directory, full)
    // Its end was decided, and we were stopped before it; or it has no more than a part of its memory.
    if (record.ending || record.memory === "loading") return end(found, clock)
    // A clone that was not told who it is, by us who knew it.
    if (record.clone === "nameless") return end(found, clock)
    const wanted = { directory, record: full, clock, log, onChange: () => tell(id) }
    try {
      const machine = await attach(wanted, adoptMs)
      machines.set(id, machine)
      if (record.clone === "named") await goOn(machine, directory)
    } catch (error) {
      if (!isAlive(found)) return
      log(`${id}: cannot be reached: ${String(error)}`)
      machines.set(id, attachLater(wanted))
    }
  }
  const left = readdirSync(guests).filter(isMachineId)
  await Promise.all(
    Array.from({ length: adoptAtOnce }, async () => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) await adopt(id)
    }),
  )

  const workshop = { binary, host, cgroups, cell, clock, log }
  const agentMs = options.agentMs ?? 10_000
  const templates = await openTemplates({
    workshop,
    directory: path.join(stateDirectory, "templates"),
    runDirectory: path.join(runDirectory, "template"),
    namespace: `${options.prefix}-template`,
    pool: { runDirectory: path.join(runDirectory, "pool"), guests, namespace: `${options.prefix}-pool` },
    agentMs,
  })
  const forget = (id: string) => {
    clones.get(id)?.left?.()
    clones.delete(id)
  }
  const start = async (spec: MachineSpec): Promise<Machine> => {
    forget(spec.id)
    // Its last process came from the pool; the next one has a group of its own.
    if (cgroupOf(spec.id) !== spec.id) await cgroups.remove(cgroupOf(spec.id))
    const onChange = () => tell(spec.id)
    if (spec.resumeFrom) return resumeMachine(spec, directoryOf(spec.id), workshop, onChange, spec.resumeFrom)
    const clone = await templates.clone(spec, directoryOf(spec.id), onChange)
    if (!clone && spec.fromPool !== undefined)
      throw new NoneWaits(`${spec.fromPool} of the pool does not fit, or is gone`)
    if (!clone) return startMachine(spec, directoryOf(spec.id), workshop, onChange)
    clones.set(spec.id, clone)
    return clone.machine
  }
  const cgroupOf = (id: string) => readRecord(directoryOf(id))?.cgroup ?? id
  const discard = async (id: string) => {
    await machines.get(id)?.detach()
    machines.delete(id)
    forget(id)
    await cgroups.remove(cgroupOf(id))
    rmSync(directoryOf(id), { recursive: true, force: true })
  }
  const personalise = async (id: string, clone: Clone) => {
    forget(id)
    try {
      await clone.personalise()
    } catch (error) {
      if (!clone.tap) templates.distrust(clone.template)
      await clone.machine.finish("killed")
      throw error
    }
  }

  /** Machines whose memory is being written. */
  const saving = new Set<string>()
  const pictures = takePictures()

  /** Machines at whose serial port somebody is: what comes out of it is put into the log as it comes. */
  const serials = new Map<string, SerialPort>()
  const drain = async (id: string, machine: Machine) => {
    if (serials.has(id)) return
    try {
      await machine.drain()
    } catch (error) {
      if (!isNoRing(error) || serials.has(id)) throw error
      await keepInRing(machine)
    }
  }
  let draining = false
  const drainAll = async () => {
    if (draining) return
    draining = true
    for (const [id, machine] of machines) {
      if (machine.state().phase === "running")
        await drain(id, machine).catch((error: unknown) => log(`${id}: ${String(error)}`))
    }
    draining = false
  }
  const timer = setInterval(() => void drainAll(), drainEveryMs)
  timer.unref()

  return {
    name: "qemu",
    probe: async () => ({
      accelerator: host.accelerator,
      version: host.version,
      cpus: availableParallelism(),
      memoryMiB: Math.floor(totalmem() / 2 ** 20),
    }),
    list: async () => readdirSync(guests).filter(isMachineId).toSorted(),

    async inspect(id) {
      const now = stateOf(id)
      if (saving.has(id) && now.phase !== "exited") return { ...now, phase: "paused" }
      // A machine that is being started or ended is neither here nor there: wait for the outcome.
      await queues.get(id)?.catch(() => {})
      return stateOf(id)
    },

    async prepare(spec) {
      checkSpec(spec)
      return alone(spec.id, async () => {
        const { phase } = stateOf(spec.id)
        if (phase === "absent" || phase === "exited") {
          await machines.get(spec.id)?.detach()
          machines.delete(spec.id)
          machines.set(spec.id, await start(spec))
        }
        return stateOf(spec.id)
      })
    },

    resume: (id) =>
      alone(id, async () => {
        const machine = needLive(id)
        const waiting = clones.get(id)
        if (waiting) await personalise(id, waiting)
        else if (machine.state().phase !== "running") {
          const slept = readRecord(directoryOf(id))?.memory === "loaded"
          await machine.resume()
          // Its agent takes its time, and may be none: nobody waits for it.
          if (slept) void tellTime(machine, directoryOf(id), () => clock.wallMs()).catch(() => {})
        }
      }),

    whileStill: (id, work) =>
      alone(id, async () => {
        const machine = machines.get(id)
        const { phase } = stateOf(id)
        if (phase === "prepared") throw new Error(`machine ${id}: has not run yet`)
        if (!machine || phase !== "running") return work()
        // It waits for what is under way and flushes every disk: do_vm_stop of QEMU's system/cpus.c.
        await machine.execute("stop")
        try {
          return await work()
        } finally {
          if (machine.state().phase !== "exited") await machine.resume()
        }
      }),

    requestShutdown: (id) =>
      alone(id, async () => {
        const machine = needLive(id)
        if (machine.state().phase !== "running") return
        machine.expectShutdown()
        await machine.query("system_powerdown")
      }),

    reset: (id) => alone(id, () => needLive(id).execute("system_reset")),

    hibernate: (id, image) =>
      alone(id, async () => {
        const machine = needLive(id)
        const { phase, cause } = machine.state()
        if (phase === "prepared" || cause !== undefined)
          throw new Error(`machine ${id}: is ${cause ?? phase}, its memory cannot be kept`)
        saving.add(id)
        try {
          await hibernateMachine(id, machine, directoryOf(id), image, host)
        } finally {
          saving.delete(id)
        }
      }),

    async kill(id) {
      // The memory of a machine that is killed is wanted by nobody.
      if (saving.has(id)) await machines.get(id)?.finish("killed")
      return alone(id, async () => {
        await machines.get(id)?.finish("killed")
      })
    },

    remove: (id) =>
      alone(id, async () => {
        const { phase } = stateOf(id)
        if (phase === "absent") return
        if (phase !== "exited") throw new Error(`machine ${id}: is ${phase}, not exited`)
        await discard(id)
      }),

    async consoleOutput(id, maxBytes) {
      if (!exists(id)) throw new Error(`machine ${id}: unknown`)
      const machine = machines.get(id)
      // What was kept is an answer too, when the machine ends just now or cannot be reached.
      if (machine && machine.state().phase !== "exited") await drain(id, machine).catch(() => {})
      return readConsole(directoryOf(id), maxBytes)
    },

    async screenshot(id, wake) {
      const machine = needLive(id)
      const { phase } = machine.state()
      if (phase !== "running" && phase !== "paused")
        throw new Error(`machine ${id}: is ${phase}, its display shows nothing`)
      return pictures.take(id, machine, directoryOf(id), wake && phase === "running")
    },

    interrupt: (id) =>
      alone(id, async () => {
        const machine = needLive(id)
        const { phase } = machine.state()
        if (phase !== "running") throw new Error(`machine ${id}: is ${phase}, it takes no interrupt`)
        await machine.query("inject-nmi")
      }),

    openSerial: (id) =>
      alone(id, async () => {
        const machine = needLive(id)
        const { phase } = machine.state()
        if (phase !== "running") throw new Error(`machine ${id}: is ${phase}, nobody can be at its serial port`)
        if (serials.has(id)) throw new Error(`machine ${id}: somebody is at its serial port`)
        const port = await openSerialPort(machine, directoryOf(id))
        serials.set(id, port)
        void port.left.then(() => serials.delete(id))
        return port.stream
      }),

    async guestAgent(id) {
      const machine = machines.get(id)
      return machine?.state().phase === "running" ? askGuestAgent(machine, directoryOf(id)) : "none"
    },

    async cpuTimes() {
      const times = [...machines].map(([id, machine]) => [id, machine.cpuTime()] as const)
      return new Map(times.flatMap(([id, time]) => (time ? [[id, time] as const] : [])))
    },

    limitCpu: (id, percent) =>
      alone(id, async () => {
        needLive(id)
        return cgroups.limitCpu(cgroupOf(id), percent)
      }),

    templates,

    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },

    async close() {
      clearInterval(timer)
      listeners.clear()
      for (const { stream } of serials.values()) stream.destroy()
      await Promise.all([...serials.values()].map(({ left }) => left))
      await templates.close()
      await Promise.allSettled(queues.values())
      await Promise.all([...machines.values()].map((machine) => machine.detach()))
    },
  }
}
