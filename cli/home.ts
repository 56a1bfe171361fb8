import { existsSync, mkdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { callingUser, isRoot } from "./caller.ts"
import { codeOf, Failure, messageOf, program } from "./failure.ts"
import { shellQuote } from "./quote.ts"

/** `<home>/config.json`: written here, read by the daemon, which gets its path as its one argument. */
export type Config = {
  home: string
  port: number
  address: string
  engine: "qemu" | "sim"
  auth: "on" | "off"
  unknownAmi: "reject" | "substitute"
  /** how many seconds of cloud time pass in one real second; 1 except on sim */
  simSpeed: number
  /** whether guests may be clones of warm templates; on when absent */
  warm?: "on" | "off"
  /** clones that are kept waiting, as `--warm-pool` says; none when absent */
  warmPool?: string
  /** pool of public addresses; the slot's own part of 198.18.0.0/15 when absent */
  publicCidr?: string
  /** vCPUs that may run in a region; any number when absent */
  vcpuLimit?: number
  /** refuse calls beyond EC2's documented rates; never when absent */
  throttle?: true
  tls: boolean
  region: string
  account: string
}

/** `<home>/daemon.json`: written by the daemon once it serves. startTime is in clock ticks, field 22 of /proc/PID/stat. */
export type DaemonRecord = {
  pid: number
  startTime: number
  endpoint: string
  engine: string
  accelerator: string | null
}

/** `<home>/daemon-error.json`: written by a daemon that could not start. */
export type DaemonError = { code: string; message: string; mend?: string }

/** `<home>/credentials.json`, mode 0600: the root user's first access key, and the token of the control requests. */
export type Credentials = {
  accessKeyId: string
  secretAccessKey: string
  account: string
  region: string
  controlToken: string
}

const systemHome = "/var/lib/fractus"

const userHome = (env: NodeJS.ProcessEnv): string => {
  const data = env.XDG_DATA_HOME
  return join(
    data !== undefined && data.startsWith("/") ? data : join(callingUser(env).home, ".local", "share"),
    "fractus",
  )
}

/** The home folder that a command works on: --home, else FRACTUS_HOME, else the default of this user. */
export const homeFolder = (option: string | undefined, env: NodeJS.ProcessEnv = process.env): string => {
  const chosen = option ?? (env.FRACTUS_HOME === "" ? undefined : env.FRACTUS_HOME)
  if (chosen === "") throw new Failure(2, "--home needs a folder", `${program} up --home /var/lib/fractus`)
  if (chosen !== undefined) return resolve(chosen)
  return isRoot() ? systemHome : userHome(env)
}

/**
 * The same for commands that look at a cloud that is there: an ordinary user without one of their own means the one that
 * `sudo fractus up` made.
 */
export const existingHome = (
  option: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  system = systemHome,
): string => {
  const home = homeFolder(option, env)
  const chosen = option !== undefined || (env.FRACTUS_HOME ?? "") !== ""
  return !chosen && !existsSync(homeFiles(home).config) && existsSync(homeFiles(system).config) ? system : home
}

/** Words that repeat a non-default home in a command to type: ` --home DIR`, or nothing. */
export const homeWords = (home: string, env: NodeJS.ProcessEnv = process.env): string =>
  home === homeFolder(undefined, env) ? "" : ` --home ${shellQuote(home)}`

/** The files of a home. */
export const homeFiles = (home: string) => ({
  config: join(home, "config.json"),
  daemon: join(home, "daemon.json"),
  daemonError: join(home, "daemon-error.json"),
  credentials: join(home, "credentials.json"),
  log: join(home, "daemon.log"),
  knownHosts: join(home, "known_hosts"),
  images: join(home, "images"),
  /** names the process that builds images in the background, while it lives */
  imageBuild: join(home, "image-build.json"),
  imageBuildLog: join(home, "image-build.log"),
  code: join(home, "code"),
  lock: join(home, "up.lock"),
})

const isMissing = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === "ENOENT" || code === "ENOTDIR"
}

type Kinds = Record<string, "string" | "number" | "boolean">

const hasMembers = (value: unknown, kinds: Kinds): boolean => {
  if (typeof value !== "object" || value === null) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return Object.entries(kinds).every(([name, kind]) => typeof members.get(name) === kind)
}

/** A JSON file of the home, checked; undefined when there is none, a Failure when it is damaged or not ours to read. */
const readJson = <T>(path: string, isWhole: (value: unknown) => value is T): T | undefined => {
  let text
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    if (codeOf(error) !== "EACCES") throw error
    throw new Failure(3, `${path} belongs to another user`, `sudo ${program} ${process.argv.slice(2).join(" ")}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (isWhole(value)) return value
  throw new Failure(1, `${path} is damaged`, `mv ${shellQuote(path)} ${shellQuote(`${path}.damaged`)}`)
}

const isConfig = (value: unknown): value is Config =>
  hasMembers(value, { home: "string", port: "number", address: "string", engine: "string", auth: "string" })
const isDaemonRecord = (value: unknown): value is DaemonRecord =>
  hasMembers(value, { pid: "number", startTime: "number", endpoint: "string" })
const isDaemonError = (value: unknown): value is DaemonError => hasMembers(value, { code: "string", message: "string" })
const isCredentials = (value: unknown): value is Credentials =>
  hasMembers(value, {
    accessKeyId: "string",
    secretAccessKey: "string",
    account: "string",
    region: "string",
    controlToken: "string",
  })

export const readConfig = (home: string): Config | undefined => readJson(homeFiles(home).config, isConfig)
export const readDaemonRecord = (home: string): DaemonRecord | undefined =>
  readJson(homeFiles(home).daemon, isDaemonRecord)
export const readDaemonError = (home: string): DaemonError | undefined =>
  readJson(homeFiles(home).daemonError, isDaemonError)
export const readCredentials = (home: string): Credentials | undefined =>
  readJson(homeFiles(home).credentials, isCredentials)

/** Replaces a file in one step: a reader sees the old content or the new. */
export const writeWhole = (path: string, text: string, mode: number): void => {
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, text, { mode, flush: true })
  renameSync(temporary, path)
}

/** Makes the home. As root it can be passed through by the daemon's unprivileged users; secrets inside are 0600. */
export const makeHome = (home: string): void => {
  try {
    mkdirSync(home, { recursive: true, mode: isRoot() ? 0o755 : 0o700 })
  } catch (error) {
    throw new Failure(3, `the home ${home} cannot be made: ${messageOf(error)}`, [
      `sudo ${program} up --home ${shellQuote(home)}`,
      `${program} up --home DIR   (a folder you may write)`,
    ])
  }
}

/** Free bytes where the home is, or will be. */
export const freeBytes = (path: string): number => {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch (error) {
    if (!isMissing(error) || dirname(path) === path) throw error
    return freeBytes(dirname(path))
  }
}
