/**
 * Builds machine images from a distribution's packages: as root, without loop devices, cached by what the recipe says.
 * Start reading here.
 */
import { constants } from "node:fs"
import { chmod, copyFile, link, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { type Claim, clearVoid, readClaim, takeClaim } from "#lib/claim.ts"
import { systemClock } from "#lib/clock.ts"
import type { Clock } from "#lib/clock.ts"
import { buildPrograms } from "./agent.ts"
import { installBoot, installBootOfDistribution } from "./boot-loader.ts"
import { imageIdOf } from "./catalog.ts"
import { ImageError } from "./command.ts"
import { writeDisk } from "./disk.ts"
import { imageFiles, isWhole, readImage } from "./image-folder.ts"
import type { BuiltImage, ImageFacts } from "./image-folder.ts"
import { installDistribution } from "./distribution.ts"
import { buildInitrd } from "./initrd.ts"
import { indexOptions } from "./package-index.ts"
import { findKernel } from "./modules.ts"
import { downloadPackages, missingPackages, resolvePackages, sweepDownloads, unpackPackages } from "./packages.ts"
import type { Package } from "./packages.ts"
import { publishFolder, sweep } from "./publish.ts"
import { recipeHash } from "./recipe-hash.ts"
import type { DistributionRecipe, ImageRecipe, ProgramsRecipe } from "./recipe.ts"
import { buildRootTree } from "./root-tree.ts"

export type { BuiltImage, ImageFacts } from "./image-folder.ts"

export interface BuildProgress {
  readonly step: "packages" | "download" | "unpack" | "root" | "disk" | "publish"
  /** Of the whole build, 0 to 1. */
  readonly fraction: number
  readonly message: string
}

export interface BuildOptions {
  /** Folder of the home's images; the image becomes `<directory>/<id>`. */
  readonly directory: string
  /** Default /var/cache/fractus. Holds packages and finished images, shared by all homes. */
  readonly cacheDirectory?: string
  readonly onProgress?: (progress: BuildProgress) => void
  readonly clock?: Clock
}

export const defaultCacheDirectory = "/var/cache/fractus"
const megabyte = 1_000_000
/** Longest time that another builder of the same is waited for. */
const longestMs = 3_600_000

/**
 * The image in the home, built if it is not there yet. One that is there is never replaced, whatever the recipe says now: volumes
 * stand on its bytes. Safe at the same time in several processes: the first to finish wins. Throws ImageError.
 */
export async function buildImage(recipe: ImageRecipe, options: BuildOptions): Promise<BuiltImage> {
  const directory = join(options.directory, imageIdOf(recipe.name))
  const present = await readImage(directory)
  if (present) return present
  const remains = await stat(join(directory, "disk.qcow2")).catch(() => undefined)
  if (remains) throw new ImageError("failed", `${directory} is damaged; volumes may stand on its disk: not replaced`)
  const build: Build = {
    recipe,
    cacheDirectory: options.cacheDirectory ?? defaultCacheDirectory,
    onProgress: options.onProgress ?? (() => {}),
    clock: options.clock ?? systemClock(),
  }
  const cached = await buildInCache(build)
  build.onProgress({ step: "publish", fraction: 0.99, message: "putting the image into the home" })
  await publishFolder(directory, isWhole, build.clock, (folder) =>
    placeFiles(cached, imageFiles(bootKindOf(recipe)), folder),
  )
  const built = await readImage(directory)
  if (!built) throw new ImageError("failed", `${directory} is not a whole image`)
  return built
}

/** What building would take: packages to fetch and disk space, in MB (10^6 bytes). Resolves packages, fetches none. */
export async function imagePlan(
  recipe: ImageRecipe,
  options: { readonly cacheDirectory?: string } = {},
): Promise<{ readonly fetchMB: number; readonly diskMB: number; readonly cached: boolean }> {
  const cacheDirectory = options.cacheDirectory ?? defaultCacheDirectory
  const cached = await readImage(await cacheFolder(recipe, cacheDirectory))
  if (cached) return { fetchMB: 0, diskMB: 0, cached: true }
  const packages = await resolvePackages(recipe, cacheDirectory)
  const missing = await missingPackages(packages, cacheDirectory)
  // Packages, their content (about four times as large) while it builds, and the image itself.
  const diskBytes = totalBytes(missing) + totalBytes(packages) * 5
  return { fetchMB: Math.ceil(totalBytes(missing) / megabyte), diskMB: Math.ceil(diskBytes / megabyte), cached: false }
}

function totalBytes(packages: readonly Package[]): number {
  return packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

async function cacheFolder(recipe: ImageRecipe, cacheDirectory: string): Promise<string> {
  return join(cacheDirectory, "images", await recipeHash(recipe))
}

interface Build {
  readonly recipe: ImageRecipe
  readonly cacheDirectory: string
  readonly onProgress: (progress: BuildProgress) => void
  readonly clock: Clock
}

/** True when the cache has the image: putting it into a home is a matter of links. */
export async function isCached(recipe: ImageRecipe, cacheDirectory = defaultCacheDirectory): Promise<boolean> {
  return await isWhole(await cacheFolder(recipe, cacheDirectory))
}

/** The image's folder in the cache. */
async function buildInCache(build: Build): Promise<string> {
  const folder = await cacheFolder(build.recipe, build.cacheDirectory)
  if (await isWhole(folder)) return folder
  if (process.getuid?.() !== 0) throw new ImageError("not-root", "building an image needs root")
  const claim = await claimed(build, folder)
  try {
    if (!(await isWhole(folder))) await publishFolder(folder, isWhole, build.clock, (work) => fillImage(build, work))
  } finally {
    claim.release()
  }
  await removeOld(join(folder, ".."), folder, build.clock)
  return folder
}

/** One builder of a recipe at a time on this machine: another home's is waited for, and what it made is taken. */
async function claimed({ clock, onProgress }: Build, folder: string): Promise<Claim> {
  await mkdir(join(folder, ".."), { recursive: true })
  const path = join(folder, "..", `.builder-${basename(folder)}.json`)
  const end = clock.monotonicMs() + longestMs
  for (;;) {
    const claim = takeClaim(path)
    if (claim !== undefined) return claim
    const pid = readClaim(path)?.pid
    if (clock.monotonicMs() > end) throw new ImageError("failed", `another build (pid ${pid}) does not end`)
    onProgress({ step: "packages", fraction: 0, message: `waiting for another build of it (pid ${pid})` })
    await delay(200)
  }
}

/** Removes what builds that were killed left behind, beside a home's images and in the cache. Packages that came whole stay. */
export async function clearRemains(directory: string, cacheDirectory = defaultCacheDirectory): Promise<void> {
  const clock = systemClock()
  for (const folder of [directory, join(cacheDirectory, "images")]) {
    await sweep(folder, clock)
    const claims = (await readdir(folder).catch((): string[] => [])).filter((name) => /^\.(asked|builder)-/.test(name))
    for (const name of claims) if (readClaim(join(folder, name)) === undefined) clearVoid(join(folder, name))
  }
  await sweepDownloads(join(cacheDirectory, "packages"))
}

/** Images of recipes that nobody has built for two months. Homes have links of their own. */
async function removeOld(parent: string, keep: string, clock: Clock): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name)
    const facts = await stat(path).catch(() => undefined)
    const old = facts !== undefined && clock.wallMs() - facts.mtimeMs > 60 * 86_400_000
    if (old && path !== keep) await rm(path, { recursive: true, force: true })
  }
}

async function fillImage(build: Build, work: string): Promise<void> {
  const { recipe, cacheDirectory, onProgress, clock } = build
  onProgress({ step: "packages", fraction: 0, message: "looking up packages" })
  const packages = await resolvePackages(recipe, cacheDirectory, clock.wallMs())
  const missing = await missingPackages(packages, cacheDirectory)
  const fetchMB = Math.ceil(totalBytes(missing) / megabyte)
  const reportDownload = (done: number): void =>
    onProgress({ step: "download", fraction: 0.05 + done * 0.45, message: `fetching ${fetchMB} MB of packages` })
  if (missing.length > 0) reportDownload(0)
  const index = await indexOptions(recipe, cacheDirectory, clock.wallMs())
  await downloadPackages(packages, cacheDirectory, reportDownload, index)
  const scratch = await mkdtemp(join(work, "scratch-"))
  const root = join(scratch, "root")
  const parts = { packages, cacheDirectory, scratch, root, work, onProgress }
  const bootLoader = await (recipe.kind === "programs" ? fillPrograms(recipe, parts) : fillDistribution(recipe, parts))
  onProgress({ step: "disk", fraction: 0.9, message: "writing the disk" })
  await writeDisk(recipe, bootLoader, root, join(scratch, "disk.raw"), join(work, "disk.qcow2"))
  await writeFacts(build, packages, work)
  await rm(scratch, { recursive: true })
}

interface Parts {
  readonly packages: readonly Package[]
  readonly cacheDirectory: string
  readonly scratch: string
  /** The root file system; what is given back is the folder that holds the boot loader's packages. */
  readonly root: string
  readonly work: string
  readonly onProgress: Build["onProgress"]
}

async function fillPrograms(recipe: ProgramsRecipe, parts: Parts): Promise<string> {
  const { packages, cacheDirectory, scratch, root, work, onProgress } = parts
  onProgress({ step: "unpack", fraction: 0.65, message: "unpacking packages" })
  const unpacked = join(scratch, "packages")
  await mkdir(root)
  await chmod(root, 0o755)
  await unpackPackages(packages, cacheDirectory, unpacked)
  onProgress({ step: "root", fraction: 0.8, message: "putting the root file system together" })
  const kernel = await findKernel(unpacked)
  await buildRootTree(recipe, unpacked, kernel, root)
  await buildPrograms(unpacked, join(root, "usr/lib/fractus"))
  const initrd = await buildInitrd(recipe, unpacked, kernel)
  await writeFile(join(work, "initrd"), initrd)
  await copyFile(kernel.imagePath, join(work, "vmlinuz"))
  await installBoot(root, { kernel: kernel.imagePath, initrd }, recipe.commandLine)
  return unpacked
}

async function fillDistribution(recipe: DistributionRecipe, parts: Parts): Promise<string> {
  const { packages, cacheDirectory, scratch, root, onProgress } = parts
  const report = (done: number): void =>
    onProgress({ step: "root", fraction: 0.5 + done * 0.4, message: `installing ${packages.length} packages` })
  report(0)
  await installDistribution(recipe, packages, cacheDirectory, scratch, root, report)
  await installBootOfDistribution(root, recipe.commandLine)
  return root
}

async function writeFacts({ recipe, clock }: Build, packages: readonly Package[], work: string): Promise<void> {
  const facts: ImageFacts = {
    id: imageIdOf(recipe.name),
    name: recipe.name,
    description: recipe.description,
    architecture: recipe.architecture,
    sizeBytes: recipe.sizeBytes,
    rootDeviceName: recipe.rootDeviceName,
    bootKind: bootKindOf(recipe),
    ...(recipe.kind === "distribution" && { agent: recipe.agent }),
    // Of both kinds of recipe since their agents know it.
    ...((recipe.kind === "programs" || recipe.agent) && { copies: true }),
    commandLine: recipe.commandLine,
    loginUser: recipe.loginUser,
    createdMs: clock.wallMs(),
    recipeHash: await recipeHash(recipe),
    packages: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
  }
  await writeFile(join(work, "image.json"), `${JSON.stringify(facts, null, 2)}\n`)
}

const bootKindOf = ({ kind }: ImageRecipe): ImageFacts["bootKind"] => (kind === "programs" ? "kernel" : "firmware")

/** Hard links where the file system allows: the files never change. */
async function placeFiles(source: string, names: readonly string[], folder: string): Promise<void> {
  for (const name of names) {
    const target = join(folder, name)
    await link(join(source, name), target).catch(() => copyFile(join(source, name), target, constants.COPYFILE_FICLONE))
  }
}
