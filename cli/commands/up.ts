import { setTimeout as pause } from "node:timers/promises"
import type { CatalogImage } from "#images/catalog.ts"
import { checkEngineOfHome, checkOptions, differences, newConfig } from "../config.ts"
import { codeFolder, nodeOf } from "../daemon/code.ts"
import { accessOf } from "./env.ts"
import { readStatus } from "../daemon/api.ts"
import { capLog } from "../daemon/log.ts"
import { runningDaemon, waitForStarting } from "../daemon/process.ts"
import { requireCredentials } from "../daemon/require.ts"
import { startDaemon, type Started } from "../daemon/start.ts"
import { stopDaemonOnly } from "../daemon/stop.ts"
import { repository } from "../repository.ts"
import { Failure, program } from "../failure.ts"
import { type Config, homeFiles, homeFolder, homeWords, makeHome, readConfig, readCredentials } from "../home.ts"
import { imagesToCome, startBackgroundBuild, whichImages } from "../images/background.ts"
import { withLock } from "../lock.ts"
import type { UpOptions } from "../options.ts"
import { profileName, writeProfile } from "../profile/profile.ts"
import { note, progressLine } from "../terminal.ts"
import { checkDisk, checkPort, checkPrivileges, checkSystem, prepareQemu } from "../up/prepare.ts"
import { printReport, upReport } from "../up/report.ts"
import { checkSystemd, disableUnit, enableUnit } from "../up/unit.ts"

/** Which daemon to start, for the tests; the repository's own otherwise. */
export type Surroundings = { daemonMain?: string; startDeadlineMs?: number }

const alreadyRunning = async (
  home: string,
  options: UpOptions,
  config: Config,
): Promise<Started["status"] | undefined> => {
  const daemon = runningDaemon(home)
  if (daemon === undefined) return undefined
  const different = differences(options, config)
  if (different.length > 0) {
    throw new Failure(4, `Fractus already serves ${home} with other options: ${different.join(", ")}`, [
      `${program} down${homeWords(home)}, then the same command again`,
    ])
  }
  capLog(homeFiles(home).log)
  return readStatus(daemon.endpoint)
}

/** Starts a daemon with this config, for `up` and `restart`. */
export const start = async (config: Config, options: UpOptions, surroundings: Surroundings = {}): Promise<Started> => {
  const code = config.engine === "qemu" ? codeFolder(homeFiles(config.home).code) : repository
  const line = progressLine()
  try {
    return await startDaemon({
      config,
      node: nodeOf(code),
      main: surroundings.daemonMain ?? `${code}/daemon/main.ts`,
      foreground: options.foreground === true,
      ...(surroundings.startDeadlineMs === undefined ? {} : { deadlineMs: surroundings.startDeadlineMs }),
      onWait: (what) => line.show(what),
    })
  } finally {
    line.end()
  }
}

/** Waits for an attached daemon; Ctrl-C and SIGTERM reach it and end it gracefully. */
const stayAttached = (child: Started["child"]): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (): boolean => child.kill("SIGTERM")
    process.on("SIGTERM", end)
    process.on("SIGINT", end)
    const ended = (code: number | null): void => {
      if (code === 0 || code === null) resolve()
      else reject(new Failure(1, `the daemon ended with exit code ${code}`, `${program} up`))
    }
    if (child.exitCode !== null) ended(child.exitCode)
    else child.on("exit", ended)
  })

/**
 * `fractus up`: returns when the daemon serves and its first image is available. On a home that is served already it
 * prints the same again; with other options it says that they need a restart.
 */
export const up = async (options: UpOptions, surroundings: Surroundings = {}): Promise<void> => {
  const home = homeFolder(options.home)
  if (options.enable === true) checkSystemd(home, "--enable")
  if (options.disable === true) {
    checkSystemd(home, "--disable")
    return disableUnit()
  }
  const saved = readConfig(home)
  const serving = saved !== undefined && runningDaemon(home) !== undefined
  if (!serving) checkOptions(options)
  const config = newConfig(home, options, saved)
  if (!serving && config.engine === "qemu") {
    checkSystem()
    checkPrivileges(home)
  }
  if (!serving && readCredentials(home) !== undefined) checkEngineOfHome(home, config.engine, saved)
  makeHome(home)
  const wait = (pid: number): void => note(`Another run (pid ${pid}) is working on ${home}; waiting for it ...`)
  const started = await withLock(homeFiles(home).lock, () => bringUp(config, options, surroundings), wait)
  const credentials = requireCredentials(home)
  const used = readConfig(home) ?? config
  if (options.profile !== false) writeProfile(accessOf(home))
  // Before the report: whoever reads it may end us at once.
  const attached = options.foreground === true && started.child !== undefined ? stayAttached(started.child) : undefined
  attached?.catch(() => {})
  const coming = await beginImages(used, options)
  const report = upReport(started.status, used, credentials, options.profile === false ? null : profileName, coming)
  printReport(report, options.json === true)
  if (options.enable === true) return handOver(home, started.child, options)
  if (started.child === undefined) return
  if (attached === undefined) started.child.unref()
  else await attached
}

/** Starts to build what this home does not have yet, and says so. With --enable that is left to the `up` that systemd runs. */
const beginImages = async ({ home, engine }: Config, options: UpOptions): Promise<readonly CatalogImage[]> => {
  if (engine !== "qemu" || options.enable === true || whichImages(options.images) === "first") return []
  const coming = imagesToCome(home)
  if (coming.length === 0) return []
  await startBackgroundBuild(home)
  note(`Building in the background: ${coming.map(({ name }) => name).join(", ")}`)
  note(`To see how far it is: ${program} image list${homeWords(home)}`)
  return coming
}

/** The daemon ends, guests go on, and systemd's own daemon takes over. */
const handOver = async (home: string, child: Started["child"] | undefined, options: UpOptions): Promise<void> => {
  child?.unref()
  await stopDaemonOnly(home)
  enableUnit(home, whichImages(options.images))
  const end = performance.now() + 60_000
  while (runningDaemon(home) === undefined) {
    if (performance.now() > end) {
      throw new Failure(1, "systemd's daemon does not serve after a minute", "systemctl status fractus.service")
    }
    await pause(100)
  }
  note("systemd starts it from now on, at each boot too.")
}

const bringUp = async (
  config: Config,
  options: UpOptions,
  surroundings: Surroundings,
): Promise<{ status: Started["status"]; child?: Started["child"] }> => {
  await waitForStarting(config.home, (pid) => note(`Another run has started a daemon (pid ${pid}); waiting for it ...`))
  const running = readConfig(config.home) ?? config
  const status = await alreadyRunning(config.home, options, running)
  if (status !== undefined) return { status }
  await checkPort(config)
  if (config.engine === "qemu") {
    checkDisk(config.home)
    await prepareQemu(
      config.home,
      options.yes === true,
      whichImages(options.images) === "all" ? imagesToCome(config.home) : [],
    )
  }
  return start(config, options, surroundings)
}
