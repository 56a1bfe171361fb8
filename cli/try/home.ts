import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statfsSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startTimeOf } from "#lib/claim.ts"
import { runningDaemon } from "../daemon/process.ts"
import { messageOf } from "../failure.ts"
import { homeFiles } from "../home.ts"
import { repository } from "../repository.ts"
import { note } from "../terminal.ts"

const prefix = "fractus-try-"

/** Processes are told apart by their number only inside one namespace of them; a container may share our /tmp. */
const pidNamespace = (): string => /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0"

const memory = "/dev/shm"
const enoughBytes = 1024 ** 3

/** Not in a container that has a few megabytes of it, and not where it is missing. */
const memoryIsRoomy = (): boolean => {
  try {
    const { bavail, bsize } = statfsSync(memory)
    accessSync(memory, constants.W_OK)
    return bavail * bsize >= enoughBytes
  } catch {
    return false
  }
}

/**
 * Where homes that are thrown away stand: TMPDIR if it says so. Else in memory for a simulated cloud, whose every commit would wait for
 * a disk for nothing; disks of real guests do not belong there, nor into /tmp, which is memory too on many systems.
 */
export const tryFolder = (engine: "qemu" | "sim", env: NodeJS.ProcessEnv = process.env): string => {
  const chosen = env.TMPDIR
  if (chosen !== undefined && chosen.startsWith("/")) return chosen
  if (engine === "qemu") return "/var/tmp"
  return memoryIsRoomy() ? memory : tmpdir()
}

/** Makes a home whose name says which process it belongs to. On qemu the daemon's unprivileged users pass through it. */
export const makeTryHome = (folder: string, engine: "qemu" | "sim"): string => {
  const home = mkdtempSync(join(folder, `${prefix}${pidNamespace()}-${process.pid}-${startTimeOf(process.pid)}-`))
  if (engine === "qemu") chmodSync(home, 0o755)
  return home
}

/** Removes it, and waits a moment for a process that still writes into it. */
export const removeTryHome = (home: string): void =>
  rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })

/** Ends what stands of a home whose daemon did not end by itself or was started anew, and removes it. Mostly it is gone already. */
export const takeDownTryHome = async (home: string): Promise<void> => {
  if (existsSync(homeFiles(home).config)) {
    const { nodeOf } = await import("../daemon/code.ts")
    const { takeDown } = await import("../daemon/stop.ts")
    await takeDown({ home, code: repository, node: nodeOf(repository) })
  }
  removeTryHome(home)
}

/** Whether a home of that name was left behind: by a process of this namespace that is gone, and its daemon too. */
const isLeft = (folder: string, name: string): boolean => {
  const [, namespace, pid, startTime] = /^fractus-try-(\d+)-(\d+)-(\d+)-/.exec(name) ?? []
  if (namespace !== pidNamespace() || startTimeOf(Number(pid)) === Number(startTime)) return false
  const home = join(folder, name)
  const found = lstatSync(home, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.getuid?.() && runningDaemon(home) === undefined
}

/**
 * Takes down what earlier runs left that were killed together with their daemon (else the daemon does it). A home that
 * resists is named and left: it is in nobody's way.
 */
export const sweepTryHomes = async (folder: string): Promise<void> => {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(prefix))) {
    try {
      if (!isLeft(folder, name)) continue
      await takeDownTryHome(join(folder, name))
    } catch (error) {
      note(`${join(folder, name)} was left by an earlier run and stays: ${messageOf(error)}`)
    }
  }
}
