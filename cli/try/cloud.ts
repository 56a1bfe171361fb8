import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { constants } from "node:os"
import { setTimeout as pause } from "node:timers/promises"
import type { Access } from "../commands/env.ts"
import { newConfig } from "../config.ts"
import { daemonCommand } from "../daemon/command.ts"
import { withLog } from "../daemon/log.ts"
import { runningDaemon } from "../daemon/process.ts"
import { Failure, program } from "../failure.ts"
import { type Config, homeFiles, readCredentials, readDaemonError, writeWhole } from "../home.ts"
import { inRepository } from "../repository.ts"
import { makeTryHome, removeTryHome, sweepTryHomes, takeDownTryHome, tryFolder } from "./home.ts"

/** A cloud that is gone when it is closed, or when this process ends, however it ends. */
export type ThrowawayCloud = {
  access: Access
  home: string
  /** lets its holder empty the cloud (`POST /_fractus/reset`, on sim) and make accounts: header x-fractus-token */
  controlToken: string
  /** resolves, with the end of its log, when the daemon ends before `close` */
  ended: Promise<string>
  close: () => Promise<void>
}

type Engine = "qemu" | "sim"

/** What to run as the daemon, and the port to tell it. */
export type DaemonProgram = { node: string; main: string; port: () => Promise<number> }

const here: DaemonProgram = {
  node: process.execPath,
  main: inRepository("daemon/main.ts"),
  port: () => Promise.resolve(0),
}

const startMs: Record<Engine, number> = { sim: 60_000, qemu: 180_000 }
const endMs: Record<Engine, number> = { sim: 10_000, qemu: 60_000 }
const lookEveryMs = 5
const logLines = 15
const portTries = 3

/**
 * Starts a throwaway cloud on an unused port, with keys of its own. Failures: 3 for what qemu lacks, 1 with the end of the
 * daemon's log when it does not start. A signal meanwhile ends this process, and what was begun with it.
 */
export const openCloud = async (engine: Engine): Promise<ThrowawayCloud> => {
  const folder = tryFolder(engine)
  // What only real guests need is loaded for them alone: a simulated cloud is to be there at once.
  const qemu = engine === "qemu" ? await import("./qemu.ts") : undefined
  qemu?.checkQemu(folder)
  await sweepTryHomes(folder)
  const stopWatching = exitOnSignals()
  const home = makeTryHome(folder, engine)
  const removeAtExit = (): void => removeTryHome(home)
  process.on("exit", removeAtExit)
  try {
    const daemon = qemu === undefined ? here : await qemu.prepareHome(home)
    // From here on the daemon does it; on qemu it needs what stands there to take down guests and networks.
    if (engine === "qemu") process.off("exit", removeAtExit)
    return throwawayCloud(home, engine, await startOnFreePort(home, engine, daemon))
  } catch (error) {
    await takeDownTryHome(home)
    throw error
  } finally {
    stopWatching()
  }
}

/** An exit, unlike a signal, runs what stands at "exit". */
const exitOnSignals = (): (() => void) => {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
  const leave = (signal: NodeJS.Signals): never => process.exit(128 + constants.signals[signal])
  for (const signal of signals) process.on(signal, leave)
  return () => {
    for (const signal of signals) process.off(signal, leave)
  }
}

/** On sim the daemon takes a port itself. On qemu it must be told one, which another process may take in between. */
const startOnFreePort = async (home: string, engine: Engine, daemon: DaemonProgram): Promise<ChildProcess> => {
  for (let attempt = 1; ; attempt++) {
    const port = await daemon.port()
    const child = spawnThrowaway({ ...newConfig(home, { engine }, undefined), port }, daemon)
    if (await serves(home, child, startMs[engine])) return child
    await endOf(child, endMs[engine])
    if (readDaemonError(home)?.code !== "port" || attempt === portTries) throw startFailure(home)
  }
}

/** Its standard input is what ties it to us: the kernel closes that with this process. A Ctrl-C is not for it. */
const spawnThrowaway = (config: Config, { node, main }: DaemonProgram): ChildProcess => {
  const files = homeFiles(config.home)
  writeWhole(files.config, JSON.stringify(config), 0o644)
  const { argv, env } = daemonCommand(config, main)
  return withLog(files.log, (fd) =>
    spawn(node, [...argv, "--throwaway"], { detached: true, stdio: ["pipe", fd, fd], env, cwd: "/" }),
  )
}

/** True when it serves, false when it ended or the time is over. That it serves is the last thing that it writes down. */
const serves = async (home: string, child: ChildProcess, deadlineMs: number): Promise<boolean> => {
  child.on("error", () => undefined) // it has no pid then
  const end = performance.now() + deadlineMs
  while (child.pid !== undefined && !hasEnded(child) && performance.now() < end) {
    if (runningDaemon(home)?.pid === child.pid) return true
    await pause(lookEveryMs)
  }
  return false
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const startFailure = (home: string): Failure => {
  const error = readDaemonError(home)
  return new Failure(
    error?.code === "privilege" ? 3 : 1,
    `the cloud did not start: ${error?.message ?? ""}\n${logEnd(home)}`,
    [`${program} doctor`],
  )
}

const logEnd = (home: string): string => {
  try {
    return readFileSync(homeFiles(home).log, "utf8").trimEnd().split("\n").slice(-logLines).join("\n")
  } catch {
    return ""
  }
}

const throwawayCloud = (home: string, engine: Engine, child: ChildProcess): ThrowawayCloud => {
  const daemon = runningDaemon(home)
  const credentials = readCredentials(home)
  if (daemon === undefined || credentials === undefined) throw startFailure(home)
  const { region, accessKeyId, secretAccessKey, controlToken } = credentials
  let closing: Promise<void> | undefined
  const ended = new Promise<string>((resolve) => {
    child.once("exit", () => closing === undefined && resolve(logEnd(home)))
  })
  const close = async (): Promise<void> => {
    await endOf(child, endMs[engine])
    await takeDownTryHome(home)
  }
  return {
    access: { endpoint: daemon.endpoint, region, accessKeyId, secretAccessKey },
    home,
    controlToken,
    ended,
    close: () => (closing ??= close()),
  }
}

/** Lets go of it and waits for its end; one that does not end is killed. */
const endOf = async (child: ChildProcess, deadlineMs: number): Promise<void> => {
  child.stdin?.on("error", () => undefined).destroy()
  if (hasEnded(child) || child.pid === undefined) return
  const exit = once(child, "exit")
  const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs)
  await exit
  clearTimeout(timer)
}
