/** A daemon of its own for one test: `--engine sim` as a child process, with a home in the folder for temporary files. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { type Config, homeFiles } from "#daemon/config.ts"
import type { Credentials, DaemonRecord } from "#daemon/home-records.ts"

export interface SimOptions {
  /** Cloud seconds in a real second. 50 unless given: a simulated guest starts in two milliseconds and is seen for 72 s after its end. */
  readonly simSpeed?: number
  readonly auth?: "on" | "off"
  readonly unknownAmi?: "reject" | "substitute"
  readonly publicCidr?: string
  readonly vcpuLimit?: number
  readonly throttle?: true
  /** Serves TLS beside HTTP. */
  readonly tls?: boolean
  /** 0, a free one, unless given. A restart keeps the port. */
  readonly port?: number
  /** A home that is there already, to open it again. It is left where it is by `stop`. */
  readonly home?: string
  /** Further variables for the daemon's process. */
  readonly daemonEnv?: Readonly<Record<string, string>>
}

export interface SimDaemon {
  readonly endpoint: string
  readonly home: string
  /** Of the process that runs now: another one after `restart`. */
  readonly pid: number
  readonly credentials: Credentials
  /** For child processes: this process's environment without its AWS settings, and with those of this cloud. */
  readonly env: Readonly<Record<string, string>>
  /** What the daemon wrote to stderr since its last start, its last 64 KiB. */
  log(): string
  /** Returns when nothing is pending. Throws after `timeoutS`, 20 unless given. */
  settled(timeoutS?: number): Promise<void>
  /** Ends the process as an operator does, and removes the home. Throws if the process had to be killed. May be called twice. */
  stop(): Promise<void>
  /** SIGKILL; returns when the process is gone. The home stays. */
  kill9(): Promise<void>
  /** Starts the daemon again on the same home and port; ends it first if it still runs. */
  restart(): Promise<void>
}

const startMs = 20_000
const stopMs = 15_000
const logBytes = 65_536
const region = "us-east-1"
const account = "123456789012"
const program = new URL("../../daemon/main.ts", import.meta.url).pathname

interface Running {
  readonly child: ChildProcess
  readonly record: DaemonRecord
  readonly log: () => string
}

/** Starts one and returns when it serves. Throws with the daemon's own words when it does not. */
export async function startSimDaemon(options: SimOptions = {}): Promise<SimDaemon> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), "fractus-sim-")))
  const removeHome = () => (options.home === undefined ? rm(home, { recursive: true, force: true }) : undefined)
  let running: Running
  let credentials: Credentials
  try {
    running = await launch(home, options.port ?? 0, options)
    credentials = JSON.parse(await readFile(homeFiles(home).credentials, "utf8"))
  } catch (error) {
    await removeHome()
    throw error
  }
  const { endpoint } = running.record
  const env = environment(endpoint, home, credentials)
  return {
    endpoint,
    home,
    credentials,
    env,
    get pid() {
      return running.record.pid
    },
    log: () => running.log(),
    async settled(timeoutS = 20) {
      const answer = await fetch(`${endpoint}/_fractus/settled?timeout=${timeoutS}`)
      if (answer.status !== 200) throw new Error(`not settled within ${timeoutS} s: ${await answer.text()}`)
    },
    async stop() {
      const tidy = await end(running.child)
      await removeHome()
      if (!tidy) throw new Error(`the daemon did not end on SIGTERM within ${stopMs} ms:\n${running.log()}`)
    },
    async kill9() {
      await kill(running.child)
    },
    async restart() {
      await end(running.child)
      running = await launch(home, Number(new URL(endpoint).port), options)
    },
  }
}

async function launch(home: string, port: number, options: SimOptions): Promise<Running> {
  const config: Config = {
    home,
    address: "127.0.0.1",
    port,
    engine: "sim",
    auth: options.auth ?? "on",
    unknownAmi: options.unknownAmi ?? "reject",
    simSpeed: options.simSpeed ?? 50,
    region,
    account,
    ...(options.tls === true && { tls: true }),
    ...(options.publicCidr === undefined ? {} : { publicCidr: options.publicCidr }),
    ...(options.throttle && { throttle: true }),
    ...(options.vcpuLimit === undefined ? {} : { vcpuLimit: options.vcpuLimit }),
  }
  const path = join(home, "config.json")
  await writeFile(path, JSON.stringify(config))
  const child = spawn(process.execPath, [program, path], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...inherited(), ...options.daemonEnv },
  })
  // A test run that ends, by itself or because its time is over, leaves nothing behind, whatever became of the test.
  const killNow = () => {
    child.kill("SIGKILL")
    if (options.home === undefined) rmSync(home, { recursive: true, force: true })
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    if (!process.listeners(signal).includes(leave)) process.on(signal, leave)
  process.once("exit", killNow)
  child.once("exit", () => process.off("exit", killNow))
  let text = ""
  child.stderr?.setEncoding("utf8").on("data", (part: string) => (text = (text + part).slice(-logBytes)))
  const log = () => text
  try {
    return { child, log, record: await untilServing(child, homeFiles(home).record, log) }
  } catch (error) {
    await kill(child)
    throw error
  }
}

/** Runs what stands at "exit", which a signal alone would not. */
const leave = () => process.exit(1)

/** The record is the daemon's last act of starting; one with another pid was left by an earlier process. */
async function untilServing(child: ChildProcess, path: string, log: () => string): Promise<DaemonRecord> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    if (hasEnded(child)) throw new Error(`the daemon ended with ${child.exitCode ?? child.signalCode}:\n${log()}`)
    const record = await readRecord(path)
    if (record?.pid === child.pid) return record as DaemonRecord
    await delay(10)
  }
  throw new Error(`the daemon did not serve within ${startMs} ms:\n${log()}`)
}

async function readRecord(path: string): Promise<DaemonRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8"))
  } catch {
    return undefined
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

/** True if the process ended by itself in time; otherwise it was killed. */
async function end(child: ChildProcess): Promise<boolean> {
  if (hasEnded(child)) return true
  const ended = once(child, "exit", { signal: AbortSignal.timeout(stopMs) })
  child.kill("SIGTERM")
  try {
    await ended
    return true
  } catch {
    await kill(child)
    return false
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}

/** Without AWS settings, and without what tells a process that it runs below `node --test`. */
function inherited(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && !/^(AWS_|BOTO_)/.test(name) && !/^(NODE_TEST_CONTEXT|(https?|all)_proxy)$/i.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}

/** For child processes that are clients: this process's environment without its AWS settings, and with those of a cloud. */
export function environment(endpoint: string, home: string, credentials: Credentials): Record<string, string> {
  return {
    ...inherited(),
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_DEFAULT_REGION: region,
    AWS_REGION: region,
    // Files that are not there: no profile of the machine changes a test.
    AWS_CONFIG_FILE: join(home, "no-aws-config"),
    AWS_SHARED_CREDENTIALS_FILE: join(home, "no-aws-credentials"),
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
    AWS_DEFAULT_OUTPUT: "json",
    AWS_PAGER: "",
    PYTHONDONTWRITEBYTECODE: "1",
  }
}
