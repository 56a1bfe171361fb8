import { type ChildProcess, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { compiledFolder } from "../compiled.ts"
import { Failure, program } from "../failure.ts"
import { type Config, type DaemonRecord, homeFiles, homeWords, readDaemonError, writeWhole } from "../home.ts"
import { readStatus, type Status } from "./api.ts"
import { withLog } from "./log.ts"
import { runningDaemon } from "./process.ts"

export type Start = {
  config: Config
  node: string
  /** daemon/main.ts in the folder that the daemon runs from */
  main: string
  /** stay attached: our own stdio, our own process group */
  foreground?: boolean
  deadlineMs?: number
  onWait?: (what: string) => void
}
export type Started = { daemon: DaemonRecord; status: Status; child: ChildProcess }

const exitCodes: Record<string, 1 | 2 | 3 | 4> = { port: 4, home: 4, privilege: 3 }

/** The environment that daemons and builders start with: the caller's AWS keys and Node options are none of its business. */
export const cleanEnvironment = (): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(AWS_|NODE_|BOTO_|SUDO_|LD_|npm_)/.test(name)) env[name] = value
  }
  const directories = new Set([...(env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
  env.PATH = [...directories].filter((directory) => directory.startsWith("/")).join(":")
  return env
}

const startFailure = (config: Config, exit: string): Failure => {
  const error = readDaemonError(config.home)
  const logs = `${program} logs${homeWords(config.home)}`
  if (error === undefined) return new Failure(1, `the daemon ended at its start (${exit})`, logs)
  return new Failure(exitCodes[error.code] ?? 1, error.message, error.mend === undefined ? logs : [error.mend, logs])
}

/**
 * Young objects of a daemon die at once; room for more of them is memory that it never gives back (30 MB under load). On qemu this is
 * the host, which mostly waits for other programs: it does without the optimizing compiler and its threads (8 MB).
 */
const flags = {
  sim: ["--max-semi-space-size=4"],
  qemu: ["--max-semi-space-size=1", "--no-opt", "--optimize-for-size", "--v8-pool-size=1"],
} as const

/** How a daemon is run on a home: arguments for Node and the environment. Benchmarks start it the same way. */
export const daemonCommand = (
  { home, engine }: Pick<Config, "home" | "engine">,
  main: string,
): { argv: string[]; env: NodeJS.ProcessEnv } => ({
  argv: [...flags[engine], main, homeFiles(home).config],
  env: { ...cleanEnvironment(), NODE_COMPILE_CACHE: compiledFolder() },
})

const spawnDaemon = ({ config, node, main, foreground }: Start): ChildProcess => {
  const { argv, env } = daemonCommand(config, main)
  if (foreground === true) return spawn(node, argv, { stdio: ["ignore", "inherit", "inherit"], env })
  return withLog(homeFiles(config.home).log, (fd) =>
    spawn(node, argv, { detached: true, stdio: ["ignore", fd, fd], env, cwd: "/" }),
  )
}

/**
 * Writes the config and starts the daemon; returns when it serves and its first image is available.
 * A daemon that ends before is a Failure with the reason it left in daemon-error.json. At the deadline a detached daemon
 * is left running, because what it does (building, adopting guests) may still come to its end.
 */
export const startDaemon = async (start: Start): Promise<Started> => {
  const { config, onWait } = start
  const files = homeFiles(config.home)
  rmSync(files.daemonError, { force: true })
  writeWhole(files.config, `${JSON.stringify(config, null, 2)}\n`, 0o644)
  const child = spawnDaemon(start)
  let exit: string | undefined
  child.on("error", (error) => (exit = error.message))
  child.on("exit", (code, signal) => (exit = signal === null ? `exit code ${code}` : `signal ${signal}`))
  const end = performance.now() + (start.deadlineMs ?? 120_000)
  let waitingFor = "the daemon to serve"
  for (;;) {
    const daemon = runningDaemon(config.home)
    if (daemon !== undefined) {
      const status = await readStatus(daemon.endpoint, 5_000).catch(() => undefined)
      if (status?.images.some((image) => image.state === "available") === true) {
        child.removeAllListeners("exit")
        return { daemon, status, child }
      }
      if (status !== undefined) waitingFor = "its first image to be available"
    }
    if (exit !== undefined) throw startFailure(config, exit)
    if (performance.now() > end) {
      throw new Failure(
        1,
        `the deadline passed while waiting for ${waitingFor}`,
        `${program} logs${homeWords(config.home)}`,
      )
    }
    onWait?.(`Waiting for ${waitingFor}`)
    await pause(40)
  }
}
