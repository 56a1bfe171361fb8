/** A simulated cloud of its own, started as `fractus up` starts it, and the bare server it is compared with. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { daemonCommand } from "#cli/daemon/command.ts"
import type { Config } from "#daemon/config.ts"
import type { Credentials } from "#daemon/home-records.ts"

export interface Daemon {
  readonly pid: number
  readonly port: number
  readonly credentials: Credentials
  /** SIGTERM, and the end of the process. */
  stop(): Promise<void>
}

export interface Home {
  readonly path: string
  /** Starts the daemon on it; resolves when it has left its record. `stop` before starting again. */
  start(): Promise<Daemon>
  /** Runs the daemon's process and does not wait: for what times its start. */
  spawn(): ChildProcess
  credentials(): Credentials
}

const startMs = 60_000
const stopMs = 20_000

export const defaultRegion = "us-east-1"

/** Runs `work` on a fresh home, which is removed afterwards with every process that was started on it. */
export async function withHome<T>(auth: "on" | "off", work: (home: Home) => Promise<T>, port = 0): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), "fractus-bench-"))
  const children = new Set<ChildProcess>()
  const kill = (): void => {
    for (const child of children) child.kill("SIGKILL")
    rmSync(path, { recursive: true, force: true })
  }
  process.once("exit", kill)
  try {
    return await work(homeAt(path, auth, port, children))
  } finally {
    await Promise.all([...children].map((child) => ended(child, "SIGKILL")))
    process.off("exit", kill)
    kill()
  }
}

function homeAt(path: string, auth: "on" | "off", port: number, children: Set<ChildProcess>): Home {
  const config: Config & { readonly tls: boolean } = {
    home: path,
    address: "127.0.0.1",
    port,
    engine: "sim",
    auth,
    unknownAmi: "reject",
    simSpeed: 1000,
    region: defaultRegion,
    account: "123456789012",
    tls: false,
  }
  const main = new URL("../../daemon/main.ts", import.meta.url).pathname
  writeFileSync(join(path, "config.json"), JSON.stringify(config))
  const credentials = (): Credentials => JSON.parse(readFileSync(join(path, "credentials.json"), "utf8"))
  const { argv, env } = daemonCommand(config, main)
  const run = (): ChildProcess => {
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "inherit"], env })
    children.add(child)
    child.once("exit", () => children.delete(child))
    return child
  }
  return {
    path,
    credentials,
    spawn: run,
    async start() {
      const child = run()
      const port = await servingPort(child, join(path, "daemon.json"))
      return { pid: child.pid ?? 0, port, credentials: credentials(), stop: () => ended(child, "SIGTERM") }
    },
  }
}

async function servingPort(child: ChildProcess, record: string): Promise<number> {
  const end = performance.now() + startMs
  while (performance.now() < end && child.exitCode === null) {
    try {
      const { pid, endpoint }: { pid: number; endpoint: string } = JSON.parse(readFileSync(record, "utf8"))
      if (pid === child.pid) return Number(new URL(endpoint).port)
    } catch {
      // not yet written
    }
    await pause(10)
  }
  throw new Error("the daemon did not start")
}

/** Ends a child and waits for it; one that does not end in time is killed. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, "exit")
  child.kill(signal)
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMs)
  await exit
  clearTimeout(timer)
}

/** Returns when nothing is pending in the cloud. */
export async function settled(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/_fractus/settled?timeout=300`)
  if (answer.status !== 200) throw new Error(`not settled: ${await answer.text()}`)
}

export interface Bare {
  readonly pid: number
  readonly port: number
}

/** Runs `work` beside a bare server that gives the same answer. */
export async function withBare<T>(
  answer: { readonly head: string; readonly body: Buffer },
  work: (bare: Bare) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "fractus-bench-bare-"))
  writeFileSync(join(folder, "head"), answer.head, "latin1")
  writeFileSync(join(folder, "body"), answer.body)
  const argv = [new URL("bare.ts", import.meta.url).pathname, join(folder, "head"), join(folder, "body")]
  const child = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] })
  try {
    const [first]: Buffer[] = await once(child.stdout, "data", { signal: AbortSignal.timeout(startMs) })
    return await work({ pid: child.pid ?? 0, port: Number(first) })
  } finally {
    await ended(child, "SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}
