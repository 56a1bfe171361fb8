/**
 * Images that every home has in the end are built by a process of their own once the home serves: detached, at the lowest priority (nice 19,
 * idle for disks), at most one per home. `down` ends it, and the next `up` begins again where packages stopped coming.
 */
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { readAsked, wanted } from "#images/asked.ts"
import type { CatalogImage } from "#images/catalog.ts"
import { clearVoid, type Holder, readClaim } from "#lib/claim.ts"
import { isRoot } from "../caller.ts"
import { cleanEnvironment } from "../daemon/command.ts"
import { withLog } from "../daemon/log.ts"
import { codeOf } from "../failure.ts"
import { homeFiles } from "../home.ts"
import { hasApt } from "../packages/apt.ts"
import { inRepository } from "../repository.ts"

/** `first`: nothing is built in the background. By `--images`, else by the environment. */
export const whichImages = (option: "all" | "first" | undefined, env = process.env): "all" | "first" =>
  option ?? (env.FRACTUS_IMAGES === "first" ? "first" : "all")

/** Images that are still to come into this home by themselves; none where nothing can be built. */
export const imagesToCome = (home: string): readonly CatalogImage[] => {
  if (!isRoot() || !hasApt()) return []
  const directory = homeFiles(home).images
  return wanted(directory).filter(({ id }) => !existsSync(join(directory, id, "image.json")))
}

/** The process that builds in the background, while it lives. */
export const backgroundBuild = (home: string): Holder | undefined => readClaim(homeFiles(home).imageBuild)

const beginsWithinMs = 3_000
const endsWithinMs = 5_000

/** Starts it, unless it runs; returns once it has begun. `main` and its further words are for tests. */
export const startBackgroundBuild = async (
  home: string,
  main = inRepository("cli/images/main.ts"),
  words: readonly string[] = [],
): Promise<void> => {
  if (backgroundBuild(home) !== undefined) return
  const argv = ["-t", "-c", "3", process.execPath, main, home, ...words]
  const child = withLog(homeFiles(home).imageBuildLog, (fd) =>
    spawn("ionice", argv, { detached: true, stdio: ["ignore", fd, fd], env: cleanEnvironment(), cwd: "/" }),
  )
  child.on("error", () => {}) // without ionice nothing is built, and `image list` says so
  child.unref()
  const end = performance.now() + beginsWithinMs
  const isGone = (): boolean => child.pid === undefined || child.exitCode !== null
  while (!isGone() && readAsked(homeFiles(home).images).length === 0 && performance.now() < end) await pause(20)
}

/** Ends it and all that it started, and removes what it left half done. False when none ran. */
export const stopBackgroundBuild = async (home: string, cacheDirectory?: string): Promise<boolean> => {
  const builder = backgroundBuild(home)
  if (builder === undefined) return false
  // The second time for what does not end by the first: unshare, for one.
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    signalGroup(builder, signal)
    const end = performance.now() + endsWithinMs
    while (groupLives(builder.pid) && performance.now() < end) await pause(50)
  }
  clearVoid(homeFiles(home).imageBuild)
  const { clearRemains } = await import("#images/build.ts")
  await clearRemains(homeFiles(home).images, cacheDirectory)
  return true
}

/** By the state and the group of every process (proc(5), fields 3 and 5): what has ended and waits for its parent does not count. */
const groupLives = (group: number): boolean =>
  readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      const [state = "", , its] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return Number(its) === group && !["Z", "X"].includes(state)
    } catch {
      return false // gone meanwhile
    }
  })

/** It leads a group of its own: what it runs (apt-get, mmdebstrap) is in it. */
const signalGroup = ({ pid }: Holder, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error
  }
}
