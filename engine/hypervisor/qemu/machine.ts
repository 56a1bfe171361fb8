/** One machine whose process is there: its connection, its state, its end. */
import { closeSync, renameSync } from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Clock } from "#lib/clock.ts"
import type { CpuTime, MachinePhase, MachineState } from "../types.ts"
import { drainConsole } from "./console-log.ts"
import { cpuTimeMs, end, isAlive, type ProcessIdentity } from "./process.ts"
import { connectQmp, isObject, printable, type Qmp, type QmpEvent, type QmpObject, QmpViolation } from "./qmp.ts"
import { type MachineRecord, readRecord, writeRecord } from "./record.ts"
import { openErrors, readErrors } from "./spawn.ts"

export type StartedRecord = MachineRecord & { readonly process: ProcessIdentity }
type Cause = NonNullable<MachineState["cause"]>

export interface MachineOptions {
  readonly directory: string
  readonly record: StartedRecord
  readonly clock: Clock
  readonly log: (line: string) => void
  /** The state changed, and not by a call of ours. */
  readonly onChange: () => void
}

export interface Machine {
  state(): MachineState
  /** Undefined when the process is gone. */
  cpuTime(): CpuTime | undefined
  /** Runs a command that changes the machine's state; no listener is told of that change, but of the machine's end always. */
  execute(command: string, args?: QmpObject): Promise<void>
  /**
   * Lets it run. A machine that a failed write stopped tries that write again: this resolves when it has run for `provenMs`
   * since, or stands still once more, so that its state then is no passing one. No listener is told of what happens meanwhile.
   */
  resume(): Promise<void>
  /** Runs a command that leaves the machine's state as it is. */
  query(command: string, args?: QmpObject, timeoutMs?: number): Promise<unknown>
  /** Asks for the run state; no listener is told of a change, but of the machine's end always. */
  refresh(): Promise<void>
  /** Writes down how far it is on the way from a copy of a template to what its specification says. */
  cloned(how: "named" | "told"): void
  /** From now on it is another machine, whose directory its own one becomes: there must be none of that name. */
  become(options: Pick<MachineOptions, "directory" | "onChange">, change: Pick<MachineRecord, "id" | "cgroup">): void
  /** Writes down that it has all the memory that it goes on with. */
  loaded(): void
  /** From now on a power off is what was asked for. */
  expectShutdown(): void
  drain(): Promise<void>
  /** Ends the process, writing the cause down first. Idempotent. */
  finish(cause: Cause): Promise<void>
  /** Lets go of it; it goes on. */
  detach(): Promise<void>
}

/** A full disk fails the repeated write within milliseconds, or takes a little more where little room was made. */
const provenMs = 3000
const lookMs = 50

const watched = new Set([
  "STOP",
  "RESUME",
  "SHUTDOWN",
  "RESET",
  "GUEST_PANICKED",
  "GUEST_CRASHLOADED",
  "BLOCK_IO_ERROR",
])

/** QEMU's run states, as listed under RunState in its QMP reference; all others are kinds of standing still. */
const phases: { readonly [status: string]: MachinePhase } = {
  prelaunch: "prepared",
  inmigrate: "prepared",
  running: "running",
  "finish-migrate": "running",
}

export const qmpPath = (directory: string): string => path.join(directory, "sockets", "qmp.sock")

/**
 * Connects to a process, waiting for it to listen. Rejects when the process ends first or does not answer within
 * `timeoutMs`; the process is then left as it is.
 */
export async function attach(options: MachineOptions, timeoutMs: number): Promise<Machine> {
  const machine = track(options)
  try {
    await machine.connect(timeoutMs)
  } catch (error) {
    await machine.detach()
    throw error
  }
  return machine
}

/** As `attach`, but of a process that answers nobody: it can be seen and ended, and is tried again now and then. */
export function attachLater(options: MachineOptions): Machine {
  const machine = track(options)
  machine.reconnect()
  return machine
}

function track({ clock, log, ...options }: MachineOptions) {
  let { record, directory, onChange } = options
  let qmp: Qmp | undefined
  let status: string | undefined
  let panicked = false
  let quiet = 0
  let detached = false
  let finishing: Promise<void> | undefined
  let refreshing = Promise.resolve()
  const errors = openErrors(path.join(directory, "errors"))

  const update = (change: Partial<MachineRecord>) => {
    record = { ...record, ...change }
    writeRecord(directory, record)
  }
  const alive = () => isAlive(record.process)
  const isLost = () => !detached && !finishing && !qmp

  const state = (): MachineState => {
    const { machineVersion } = record
    if (!alive()) return { phase: "exited", machineVersion, cause: causeOf(record, "killed") }
    // A clone may run by then, but nothing of its own.
    const loads = record.memory === "loading" || record.memory === "loaded"
    if (record.clone === "nameless" || (loads && status === "paused"))
      return { phase: "prepared", pid: record.process.pid, machineVersion }
    const phase = status === undefined ? "running" : (phases[status] ?? (status === "shutdown" ? "running" : "paused"))
    const cause = panicked ? "guest-panic" : status === "io-error" ? "io-error" : undefined
    const unclear = status === undefined || status === "internal-error" ? "unknown" : undefined
    const why = cause ?? unclear
    return { phase, pid: record.process.pid, machineVersion, ...(why && { cause: why }) }
  }

  const drain = async () => {
    if (qmp && !detached) await drainConsole(qmp, directory)
  }

  const finish = (cause: Cause): Promise<void> =>
    (finishing ??= (async () => {
      if (record.ending === undefined && alive()) update({ ending: cause })
      // The last words, if they can be had at once.
      await drain().catch(() => {})
      const said = readErrors(errors)
      if (said) log(`${record.id}: qemu: ${said}`)
      await end(record.process, clock)
      closeSync(errors)
      qmp?.close()
    })())

  /** Asks for the run state, one question at a time, and acts on the answer. */
  const refresh = () => {
    const tell = quiet === 0
    refreshing = refreshing.then(async () => {
      if (!qmp || detached || finishing) return
      const before = JSON.stringify(state())
      const answer = await qmp.execute("query-status").catch(() => undefined)
      if (!isObject(answer) || detached) return
      status = printable(answer["status"])
      if (status === "guest-panicked") panicked = true
      // Its end is no outcome of a command of ours: it is news, whoever asks at that moment.
      const ended = status === "shutdown"
      if (ended) await finish(record.shutdownRequested ? "requested" : "guest-shutdown")
      if ((tell || ended) && !detached && JSON.stringify(state()) !== before) onChange()
    })
    refreshing = refreshing.catch((error: unknown) => log(`${record.id}: ${String(error)}`))
    return refreshing
  }

  /** A guest that starts over has not panicked, and has not heard the power button. */
  const forgetPast = () => {
    panicked = false
    if (record.shutdownRequested && !finishing) update({ shutdownRequested: false })
  }

  const onEvent = (event: QmpEvent) => {
    if (!watched.has(event.name)) return
    if (event.name === "GUEST_PANICKED" || event.name === "GUEST_CRASHLOADED") {
      const news = !panicked
      panicked = true
      if (news) onChange()
    }
    if (event.name === "RESET") forgetPast()
    void refresh()
  }

  const connect = async (timeoutMs: number) => {
    const deadline = clock.monotonicMs() + timeoutMs
    for (;;) {
      if (!alive()) throw new Error(readErrors(errors) || "the process ended")
      if (detached) throw new Error("closed")
      const leftMs = deadline - clock.monotonicMs()
      if (leftMs <= 0) throw new Error(`no answer in ${timeoutMs} ms`)
      try {
        qmp = await connectQmp(qmpPath(directory), onEvent, leftMs)
        break
      } catch (error) {
        if (error instanceof QmpViolation) throw error
        // Refused or cut off: it does not listen yet, or is about to end with a message.
        await sleep(5)
      }
    }
    void qmp.closed.then(disconnected)
    quiet++
    await refresh()
    quiet--
    if (status === undefined) throw new Error("does not tell its state")
  }

  /** The other end is gone: with its process, or it broke the protocol. */
  const disconnected = async (why: Error | undefined) => {
    qmp = undefined
    if (detached || finishing) return
    // The socket closes a moment before the process is gone.
    const deadline = clock.monotonicMs() + (why ? 0 : 1000)
    while (alive() && clock.monotonicMs() < deadline) await sleep(5)
    if (detached || finishing) return
    if (alive()) {
      status = undefined
      log(`${record.id}: ${why?.message ?? "QMP: connection closed"}`)
      onChange()
      return reconnect()
    }
    await finish("killed")
    onChange()
  }

  const reconnect = async (): Promise<void> => {
    while (isLost()) {
      if (!alive()) {
        await finish("killed")
        return onChange()
      }
      try {
        await connect(2000)
        return onChange()
      } catch {
        // A connection that was cut is forgotten by whoever waits for its end.
        await sleep(1000, undefined, { ref: false })
      }
    }
  }

  const execute = async (command: string, args?: QmpObject) => {
    if (!qmp) throw new Error(`machine ${record.id}: cannot be reached`)
    quiet++
    try {
      await qmp.execute(command, args)
      await refresh()
    } finally {
      quiet--
    }
  }

  const resume = async () => {
    if (record.memory === "loaded") update({ memory: "in-use" })
    if (state().cause !== "io-error") return execute("cont")
    const deadline = clock.monotonicMs() + provenMs
    const runs = () => !detached && state().phase === "running"
    quiet++
    try {
      await execute("cont")
      while (runs() && clock.monotonicMs() < deadline) await sleep(lookMs)
    } finally {
      quiet--
    }
  }

  return {
    state,
    cpuTime() {
      const { pid, startTime } = record.process
      const usedMs = cpuTimeMs(record.process)
      return usedMs === undefined
        ? undefined
        : { process: `${pid}@${startTime}`, usedMs: usedMs - (record.idleMs ?? 0) }
    },
    drain,
    finish,
    connect,
    execute,
    resume,
    reconnect: () => void reconnect(),
    async query(command: string, args?: QmpObject, timeoutMs?: number) {
      if (!qmp) throw new Error(`machine ${record.id}: cannot be reached`)
      return qmp.execute(command, args, timeoutMs)
    },
    async refresh() {
      quiet++
      await refresh()
      quiet--
    },
    cloned: (clone: "named" | "told") => update({ clone }),
    become(next: Pick<MachineOptions, "directory" | "onChange">, change: Pick<MachineRecord, "id" | "cgroup">) {
      // Killed in between, the folder is still where those are that are nobody, and is cleared away there.
      update({ ...change, idleMs: cpuTimeMs(record.process) ?? 0 })
      renameSync(directory, next.directory)
      directory = next.directory
      onChange = next.onChange
    },
    loaded: () => update({ memory: "loaded" }),
    expectShutdown() {
      if (!record.shutdownRequested) update({ shutdownRequested: true })
    },
    async detach() {
      if (detached) return
      detached = true
      qmp?.close()
      await refreshing
      if (finishing) await finishing
      else closeSync(errors)
    },
  }
}

/** What an ended machine's record tells. Without a word of ours, only force ends QEMU. */
export function endedState(directory: string, bootId: string): MachineState {
  const record = readRecord(directory)
  if (!record) return { phase: "exited", cause: "unknown" }
  const sure = record.process !== undefined && record.bootId === bootId
  return {
    phase: "exited",
    machineVersion: record.machineVersion,
    cause: causeOf(record, sure ? "killed" : "unknown"),
  }
}

/** A clone that was not told who it is ended as nobody, whatever ended it. */
const causeOf = ({ clone, ending }: MachineRecord, silent: Cause): Cause =>
  clone === "nameless" ? "nameless" : (ending ?? silent)
