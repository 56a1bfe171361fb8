import { type ChildProcess, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { Failure, program } from "../failure.ts"
import { type Config, type DaemonRecord, homeFiles, homeWords, readDaemonError, writeWhole } from "../home.ts"
import { readStatus, type Status } from "./api.ts"
import { daemonCommand } from "./command.ts"
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

const exitCodes: Record<string, 1 | 2 | 3 | 4> = { port: 4, home: 4, addresses: 4, privilege: 3 }

const startFailure = (config: Config, exit: string): Failure => {
  const error = readDaemonError(config.home)
  const logs = `${program} logs${homeWords(config.home)}`
  if (error === undefined) return new Failure(1, `the daemon ended at its start (${exit})`, logs)
  const mend = [inOurWords(error.mend ?? logs, config.home), logs]
  return new Failure(exitCodes[error.code] ?? 1, error.message, [...new Set(mend)])
}

/** The daemon does not know how its user calls `fractus`, nor which home is the default. */
const inOurWords = (command: string, home: string): string =>
  /(^|sudo )\.\/fractus /.test(command)
    ? command.replace("./fractus", program) + (command.includes(" --home ") ? "" : homeWords(home))
    : command

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
  const { config } = start
  const files = homeFiles(config.home)
  rmSync(files.daemonError, { force: true })
  writeWhole(files.config, `${JSON.stringify(config, null, 2)}\n`, 0o644)
  const child = spawnDaemon(start)
  try {
    return { ...(await served(start, child)), child }
  } catch (error) {
    // A child that lives would hold our process, too: one of ours ends with us, a detached one goes on alone.
    if (start.foreground === true) child.kill("SIGTERM")
    else child.unref()
    throw error
  }
}

/** Waits until the daemon serves, its first image is available, or one of them cannot come any more. */
const served = async (start: Start, child: ChildProcess): Promise<Omit<Started, "child">> => {
  const { config, onWait } = start
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
        return { daemon, status }
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
