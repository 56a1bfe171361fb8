/** Start, watch and restart a child process that outlives us and is found again. */
import { spawn } from "node:child_process"
import { readFileSync, readlinkSync, statSync } from "node:fs"
import { mkdir, rename, rm, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { processes } from "#lib/processes.ts"
import { systemTimer } from "../reconcile/deadline.ts"
import type { Log } from "../types.ts"
import { childCommand, type ChildSpec } from "./command.ts"
import { openLog, shorten } from "./log-file.ts"
import { lives, signal, startTime, type ProcessId } from "./process.ts"

export interface SuperviseOptions extends ChildSpec {
  /** Unique within `runDirectory`: `<name>.json` and `<name>.log` are kept there. */
  readonly name: string
  /** The child's whole environment, save one variable of ours by which it is found again. */
  readonly env: Readonly<Record<string, string>>
  readonly log: Log
  readonly runDirectory: string
  /** A child found alive from before, of the same command line: go on with it, or start anew. "keep" by default. */
  readonly existing?: "keep" | "replace"
  /** Asked every 25 ms until true; `supervise` resolves then. */
  readonly ready?: () => Promise<boolean>
  /** Real milliseconds until `ready` must have been true; 15,000 by default. */
  readonly readyMs?: number
  /** Size at which the log file is cut; 4 MiB by default. */
  readonly maxLogBytes?: number
}

export interface Supervised {
  /** Undefined between an end and the next start. */
  pid(): number | undefined
  /** True when it was found alive from before. */
  readonly adopted: boolean
  /** SIGTERM, then SIGKILL after `deadlineMs` (5,000 by default). Leaves nothing but the log. */
  stop(deadlineMs?: number): Promise<void>
  /** Watch no longer; the child goes on and can be adopted. */
  leave(): void
}

const marker = "FRACTUS_SUPERVISED"
const pollMs = 250
/** A child that lived this long starts again at once, with the shortest pause. */
const soundMs = 30_000

/** Throws when the child cannot be started, or is not ready in time; then nothing is left running. */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const { name, log, runDirectory, maxLogBytes = 4 << 20 } = options
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) throw new Error(`not a name of a process: ${name}`)
  await mkdir(runDirectory, { recursive: true, mode: 0o755 })
  const place = join(runDirectory, name)
  // A container may see the processes of its machine, where a home has the same folders.
  const mark = `${place} of ${readlinkSync("/proc/self/ns/net")}`
  const command = childCommand(options)
  const recordPath = `${place}.json`
  const logPath = `${place}.log`
  let current: ProcessId | undefined
  let startedMs = 0
  let failures = 0
  let ending = false
  let cancel: (() => void) | undefined
  let starting: Promise<void> | undefined

  async function start(): Promise<void> {
    for (const { to } of options.bindMounts ?? []) await mkdir(to, { recursive: true, mode: 0o755 })
    const output = openLog(logPath)
    try {
      const [program, ...rest] = command
      const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...options.env, [marker]: mark }
      const child = spawn(program!, rest, { env, cwd: "/", detached: true, stdio: ["ignore", output.fd, output.fd] })
      child.unref()
      await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject))
      const pid = child.pid!
      current = { pid, startTime: startTime(pid) ?? "" }
      child.once("exit", (code, signalName) => {
        log("host: a process ended", { name, pid, code, signal: signalName })
        if (current?.pid === pid) look()
      })
      startedMs = performance.now()
      await record(recordPath, { ...current, command })
    } finally {
      output.close()
    }
  }

  /** Is it alive? If not, start it again after a pause that doubles. */
  function look(): void {
    cancel?.()
    if (ending) return
    shorten(logPath, maxLogBytes).catch((error: unknown) =>
      log("host: a log was not cut", { name, error: String(error) }),
    )
    if (current && lives(current)) return void (cancel = systemTimer(pollMs, look))
    if (performance.now() - startedMs > soundMs) failures = 0
    current = undefined
    const pauseMs = Math.min(10_000, 100 * 2 ** failures++)
    cancel = systemTimer(pauseMs, () => {
      if (ending) return
      starting = start()
      starting
        .catch((error: unknown) => log("host: a process did not start", { name, error: String(error) }))
        .finally(look)
    })
  }

  async function end(deadlineMs: number): Promise<void> {
    ending = true
    cancel?.()
    await starting?.catch(() => {})
    for (const found of [...(current ? [current] : []), ...(await marked(mark, options.uid))])
      await endOf(found, deadlineMs)
    current = undefined
    await rm(recordPath, { force: true })
    for (const { to } of options.bindMounts ?? []) await rmdir(to).catch(() => {})
  }

  const adopted = await adopt()
  async function adopt(): Promise<boolean> {
    const known = knownChild(recordPath, command)
    const keep = options.existing === "replace" ? undefined : known
    for (const found of await marked(mark, options.uid)) if (found.pid !== keep?.pid) await endOf(found, 5_000)
    if (known && !keep) await endOf(known, 5_000)
    current = keep
    startedMs = performance.now()
    return keep !== undefined
  }
  try {
    if (!adopted) await start()
    await untilReady(options, () => current !== undefined && lives(current))
  } catch (error) {
    await end(1_000)
    throw error
  }
  look()
  return {
    pid: () => (current && lives(current) ? current.pid : undefined),
    adopted,
    stop: (deadlineMs = 5_000) => end(deadlineMs),
    leave() {
      ending = true
      cancel?.()
    },
  }
}

async function untilReady({ ready, readyMs = 15_000, name }: SuperviseOptions, alive: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + readyMs
  if (!ready) return
  while (!(await ready())) {
    if (!alive()) throw new Error(`${name} ended before it was ready: see its log`)
    if (performance.now() > deadlineMs) throw new Error(`${name} was not ready within ${readyMs} ms`)
    await pause(25)
  }
}

/** The recorded child, when it lives and was started by the same command line. */
function knownChild(path: string, command: readonly string[]): ProcessId | undefined {
  let known: ProcessId & { readonly command: readonly string[] }
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `record` alone, in a directory of root's
    known = JSON.parse(readFileSync(path, "utf8")) as typeof known
  } catch {
    return undefined
  }
  if (JSON.stringify(known.command) !== JSON.stringify(command)) return undefined
  return lives(known) ? { pid: known.pid, startTime: known.startTime } : undefined
}

/**
 * Children started by us whose record was never written, or is of another command line: found by their environment. Only root's
 * (not changed user yet) and the child's own user's processes count, so nobody else can pass for one.
 */
async function marked(mark: string, uid: number): Promise<readonly ProcessId[]> {
  const found: ProcessId[] = []
  for (const { pid, words } of await processes("environ")) {
    if (!words.includes(`${marker}=${mark}`)) continue
    const time = startTime(pid)
    const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid
    if (time !== undefined && (owner === uid || owner === 0)) found.push({ pid, startTime: time })
  }
  return found
}

async function endOf(id: ProcessId, deadlineMs: number): Promise<void> {
  const killAtMs = performance.now() + deadlineMs
  signal(id, "SIGTERM")
  while (lives(id)) {
    if (performance.now() > killAtMs) signal(id, "SIGKILL")
    if (performance.now() > killAtMs + 10_000) throw new Error(`process ${id.pid} does not end`)
    await pause(10)
  }
}

async function record(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

const pause = (delayMs: number) => new Promise<void>((resolve) => setTimeout(resolve, delayMs))
