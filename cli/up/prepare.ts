import { spawnSync } from "node:child_process"
import { chmodSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { isRoot } from "../caller.ts"
import { Failure, messageOf, program } from "../failure.ts"
import { type Config, freeBytes, homeFiles, homeWords, readCredentials } from "../home.ts"
import { systemOf } from "../doctor/system.ts"
import { aptInstall, type AptPlan, aptPlan, hasApt, packagesMissing, reinstallCommand } from "../packages/apt.ts"
import { brokenPrograms } from "../packages/broken.ts"
import { engineNeeds, missingPackages } from "../packages/needs.ts"
import { cannotListen, describeHolder, portHolder } from "../ports.ts"
import { note, progressLine } from "../terminal.ts"

/** Below it no real guest starts, and no image is built. */
export const leastFreeBytes = 5 * 1024 ** 3
const daemonUser = "fractus"

/** qemu needs root, and packages that are here or that apt can bring. Exit 3 otherwise, before anything is touched. */
export const checkPrivileges = (home: string, missing = missingPackages(engineNeeds)): void => {
  if (!isRoot()) {
    throw new Failure(3, "real guests need root (networks, disks and users of their own)", [
      `sudo ${program} up${homeWords(home)}`,
      `${program} up --engine sim${homeWords(home)}   (simulated instances, no privileges)`,
    ])
  }
  if (missing.length > 0 && !hasApt()) throw packagesMissing(missing)
}

/** What ordinary Linux does not have. WSL1's kernel cannot do it: exit 3. On WSL2 nobody has tried it: said, and tried. */
export const checkSystem = (kernel = readFileSync("/proc/version", "utf8")): void => {
  const system = systemOf(kernel)
  if (system.kind === "linux") return
  const sim = `${program} up --engine sim`
  if (system.kind === "wsl1") throw new Failure(3, `this is ${system.name}: ${system.works}`, sim)
  note(`This is ${system.name}: ${system.works}. Simulated: ${sim}`)
}

/** Packages that are here and do not run are told before anything is made. */
const checkPrograms = async (): Promise<void> => {
  const broken = await brokenPrograms(engineNeeds)
  if (broken.length === 0) return
  const which = broken.map((each) => `${each.program} (${each.said})`).join(", ")
  throw new Failure(3, `programs that real guests need do not run: ${which}`, [
    reinstallCommand(broken.map((each) => each.package)),
  ])
}

/** Real guests fill disks: refuse early rather than have them stop in the middle of a write. */
export const checkDisk = (home: string, free = freeBytes(home)): void => {
  if (free >= leastFreeBytes) return
  const gigabytes = (free / 1024 ** 3).toFixed(1)
  throw new Failure(3, `${home} has ${gigabytes} GB free; real guests need at least 5 GB`, [
    `df -h ${home}`,
    `${program} up --home DIR   (a folder on a larger disk)`,
  ])
}

const endsWithinMs = 5_000

/** As `cannotListen`, but waits for an API whose host was killed: it ends by itself, and its last moments have no name to be seen. */
async function listenAfterOurs({ port, address }: Config): Promise<string | undefined> {
  const end = performance.now() + endsWithinMs
  for (;;) {
    const code = await cannotListen(port, address)
    if (code !== "EADDRINUSE" || performance.now() > end) return code
    const holder = portHolder(port)
    const ours = (isRoot() && holder?.pid === undefined) || holder?.command?.includes("/daemon/qemu/api.ts") === true
    if (!ours) return code
    await delay(100)
  }
}

/** The port must be free, or the message says who has it. Exit 4. */
export const checkPort = async (config: Config): Promise<void> => {
  const code = await listenAfterOurs(config)
  if (code === undefined) return
  const engine = config.engine === "sim" ? " --engine sim" : ""
  const other = `${program} up${engine} --port ${config.port === 4566 ? 4567 : 4566}${homeWords(config.home)}`
  if (code === "EACCES") {
    throw new Failure(3, `port ${config.port} is reserved for root`, [
      other,
      `sudo ${program} up --port ${config.port}`,
    ])
  }
  const holder = portHolder(config.port)
  const stop = holder?.home === undefined ? [] : [`${program} down --home ${holder.home}`]
  throw new Failure(4, `port ${config.port} is in use by ${describeHolder(holder)}`, [...stop, other])
}

/** A plan in words, one line per change. */
export const describePlan = (
  plan: AptPlan | undefined,
  image: ImagePlan | undefined,
  home: string,
  later: readonly { name: string }[] = [],
): string => {
  const lines = ["Fractus will make these changes:"]
  if (plan !== undefined) {
    lines.push(`  packages   ${plan.packages.length}: ${plan.packages.join(" ")}`)
    lines.push(`             ${plan.fetchMB.toFixed(0)} MB to fetch, ${plan.diskMB.toFixed(0)} MB on disk (apt-get)`)
  }
  if (image !== undefined) {
    lines.push(`  image      the first machine image, from Debian packages: ${image.fetchMB.toFixed(0)} MB to fetch,`)
    lines.push(`             ${image.diskMB.toFixed(0)} MB on disk`)
  }
  for (const { name } of later) {
    lines.push(`  later      ${name}, in the background once it serves: about 75 MB to fetch, 250 MB on disk,`)
    lines.push(`             and the packages that building it takes (mmdebstrap); --images first leaves it out`)
  }
  lines.push(`  system     user "${daemonUser}" without login; data in ${home}`)
  lines.push(`  network    while it runs: namespaces, interfaces and nftables tables named fr<n>-; "down" removes them`)
  return lines.join("\n")
}

const agree = async (yes: boolean, again: string): Promise<void> => {
  if (yes || !process.stdin.isTTY || !process.stderr.isTTY) return
  const { confirm } = await import("@clack/prompts")
  if ((await confirm({ message: "Go on?", output: process.stderr })) === true) return
  throw new Failure(1, "nothing was changed", again)
}

type ImagePlan = { fetchMB: number; diskMB: number }

/** What the first image would take; undefined when this home or the cache has it. */
const imageWork = async (home: string): Promise<ImagePlan | undefined> => {
  const { imagePlan } = await import("#images/build.ts")
  const { readImage } = await import("#images/image-folder.ts")
  const { imageIdOf } = await import("#images/catalog.ts")
  const { microRecipe } = await import("#images/micro/recipe.ts")
  if ((await readImage(join(homeFiles(home).images, imageIdOf(microRecipe.name)))) !== undefined) return undefined
  const plan = await imagePlan(microRecipe).catch(imageFailure)
  return plan.cached ? undefined : plan
}

const imageFailure = (error: unknown): never => {
  throw new Failure(1, `the machine image could not be built: ${messageOf(error)}`, [
    "sudo apt-get update",
    `sudo ${program} image build`,
  ])
}

const makeDaemonUser = (): void => {
  if (readFileSync("/etc/passwd", "utf8").includes(`\n${daemonUser}:`)) return
  const argv = [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
  ]
  const done = spawnSync("/usr/sbin/useradd", [...argv, daemonUser], { encoding: "utf8", timeout: 60_000 })
  if (done.status === 0) return
  throw new Failure(3, `the user "${daemonUser}" could not be made: ${done.stderr ?? done.error?.message}`, [
    `sudo useradd ${argv.join(" ")} ${daemonUser}`,
  ])
}

/**
 * A home that was there already may be closed (mode 0700), and the API's user must get through to its store. To pass is all it is
 * given: the folder is listed by nobody more than before, and secrets in it are 0600.
 */
const letDaemonPass = (home: string): void => {
  const { mode } = statSync(home)
  if ((mode & 0o001) === 0) chmodSync(home, (mode & 0o7777) | 0o001)
}

/** Brings what the qemu engine needs: packages, the user, the first image. Says what it will do, and asks on a terminal. */
export const prepareQemu = async (home: string, yes: boolean, later: readonly { name: string }[]): Promise<void> => {
  const missing = missingPackages(engineNeeds)
  const line = progressLine()
  const packages = missing.length === 0 ? undefined : await aptPlan(missing, () => line.show("Reading package lists"))
  line.end()
  const image = await imageWork(home)
  if (readCredentials(home) === undefined) await checkPrograms() // only at the first start: it takes a tenth of a second
  if (packages !== undefined || image !== undefined) {
    note(describePlan(packages, image, home, later))
    await agree(yes, `${program} up --yes${homeWords(home)}`)
  }
  if (packages !== undefined) {
    await aptInstall(missing, (text) => line.show(process.stderr.isTTY ? text : "Installing packages"))
    line.end()
    const still = missingPackages(engineNeeds)
    if (still.length > 0) throw packagesMissing(still)
  }
  makeDaemonUser()
  letDaemonPass(home)
  await buildFirstImage(home)
}

/** Builds the micro image into the home, or takes it from the cache. */
export const buildFirstImage = async (home: string): Promise<{ id: string; name: string }> => {
  const { buildImage } = await import("#images/build.ts")
  const { microRecipe } = await import("#images/micro/recipe.ts")
  const line = progressLine()
  try {
    return await buildImage(microRecipe, {
      directory: homeFiles(home).images,
      onProgress: ({ message, fraction }) => line.show(`Image: ${message}`, fraction),
    }).catch(imageFailure)
  } finally {
    line.end()
  }
}

/** Puts every finished image of this machine's cache into the home, beside the first. Builds none. */
export const placeCachedImages = async (home: string): Promise<void> => {
  const { buildImage, isCached } = await import("#images/build.ts")
  const { recipes } = await import("#images/recipes.ts")
  for (const recipe of recipes) {
    if (await isCached(recipe)) await buildImage(recipe, { directory: homeFiles(home).images }).catch(imageFailure)
  }
}
