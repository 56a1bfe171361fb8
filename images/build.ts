/**
 * Builds machine images from a distribution's packages: as root, without loop devices, cached by what the recipe says.
 * Start reading here.
 */
import { constants } from "node:fs"
import {
  chmod,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises"
import { join } from "node:path"
import { imageIdOf } from "./catalog.ts"
import { ImageError, run } from "./command.ts"
import { buildInitrd } from "./initrd.ts"
import { findKernel } from "./modules.ts"
import { downloadPackages, missingPackages, resolvePackages, unpackPackages } from "./packages.ts"
import type { Package } from "./packages.ts"
import { recipeHash } from "./recipe-hash.ts"
import type { ImageRecipe } from "./recipe.ts"
import { buildRootTree } from "./root-tree.ts"

/** What stands in an image's image.json. */
export interface ImageFacts {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64"
  /** Virtual size of the disk. */
  readonly sizeBytes: number
  readonly rootDeviceName: string
  readonly bootKind: "kernel"
  readonly commandLine: string
  readonly loginUser: string
  readonly createdMs: number
  readonly recipeHash: string
  /** Name -> version of every package in it. */
  readonly packages: Readonly<Record<string, string>>
}

export interface BuiltImage extends ImageFacts {
  readonly directory: string
  readonly diskPath: string
  readonly kernelPath: string
  readonly initrdPath: string
}

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
}

export const defaultCacheDirectory = "/var/cache/fractus"
const files = ["disk.qcow2", "vmlinuz", "initrd", "image.json"]
const megabyte = 1_000_000

/**
 * The image in the home, built if it is not there yet. One that is there is never replaced, whatever the recipe says now: volumes
 * stand on its bytes. Safe at the same time in several processes: the first to finish wins. Throws ImageError.
 */
export async function buildImage(recipe: ImageRecipe, options: BuildOptions): Promise<BuiltImage> {
  const directory = join(options.directory, imageIdOf(recipe.name))
  const present = await readImage(directory)
  if (present) return present
  const cached = await buildInCache(
    recipe,
    options.cacheDirectory ?? defaultCacheDirectory,
    options.onProgress ?? (() => {}),
  )
  options.onProgress?.({ step: "publish", fraction: 0.99, message: "putting the image into the home" })
  await publish(directory, (folder) => placeFiles(cached, folder))
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

/** An image folder as it stands, or undefined when it is absent or not whole. */
export async function readImage(directory: string): Promise<BuiltImage | undefined> {
  const text = await readFile(join(directory, "image.json"), "utf8").catch(() => undefined)
  if (text === undefined) return undefined
  const found = await Promise.all(
    files.map((name) =>
      stat(join(directory, name)).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (found.includes(false)) return undefined
  const facts: unknown = JSON.parse(text)
  if (!isImageFacts(facts)) return undefined
  return {
    ...facts,
    directory,
    diskPath: join(directory, "disk.qcow2"),
    kernelPath: join(directory, "vmlinuz"),
    initrdPath: join(directory, "initrd"),
  }
}

function isImageFacts(value: unknown): value is ImageFacts {
  if (typeof value !== "object" || value === null) return false
  const strings = [
    "id",
    "name",
    "description",
    "architecture",
    "rootDeviceName",
    "bootKind",
    "commandLine",
    "loginUser",
    "recipeHash",
  ]
  const fields = new Map<string, unknown>(Object.entries(value))
  return (
    strings.every((key) => typeof fields.get(key) === "string") &&
    ["sizeBytes", "createdMs"].every((key) => Number.isSafeInteger(fields.get(key))) &&
    typeof fields.get("packages") === "object"
  )
}

async function cacheFolder(recipe: ImageRecipe, cacheDirectory: string): Promise<string> {
  return join(cacheDirectory, "images", await recipeHash(recipe))
}

/** Builds of this process under way, by folder. */
const underWay = new Map<string, Promise<string>>()

async function buildInCache(
  recipe: ImageRecipe,
  cacheDirectory: string,
  onProgress: (progress: BuildProgress) => void,
): Promise<string> {
  const folder = await cacheFolder(recipe, cacheDirectory)
  if (await readImage(folder)) return folder
  if (process.getuid?.() !== 0) throw new ImageError("not-root", "building an image needs root")
  const running = underWay.get(folder)
  if (running) return await running
  const build = publish(folder, (work) => fillImage(recipe, cacheDirectory, work, onProgress)).then(() => folder)
  underWay.set(folder, build)
  try {
    return await build
  } finally {
    underWay.delete(folder)
  }
}

/** Lets `fill` write into a folder beside `folder`, then gives it that name. Nobody sees half a folder; the first one wins. */
async function publish(folder: string, fill: (work: string) => Promise<void>): Promise<void> {
  const parent = join(folder, "..")
  await mkdir(parent, { recursive: true })
  await sweep(parent)
  const work = await mkdtemp(join(parent, ".building-"))
  try {
    await fill(work)
    await chmod(work, 0o755)
    await syncFolder(work)
    // Whatever lies there without being whole is in the way.
    if (!(await readImage(folder))) await rm(folder, { recursive: true, force: true })
    await rename(work, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error
    })
    await syncPath(parent)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Removes what builds that were killed left behind: nothing takes an hour. */
async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(".building-")) continue
    const facts = await stat(join(parent, name)).catch(() => undefined)
    if (facts && Date.now() - facts.mtimeMs > 3_600_000) await rm(join(parent, name), { recursive: true, force: true })
  }
}

async function fillImage(
  recipe: ImageRecipe,
  cacheDirectory: string,
  work: string,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  onProgress({ step: "packages", fraction: 0, message: "looking up packages" })
  const packages = await resolvePackages(recipe, cacheDirectory)
  const missing = await missingPackages(packages, cacheDirectory)
  const fetchMB = Math.ceil(totalBytes(missing) / megabyte)
  const reportDownload = (done: number): void =>
    onProgress({ step: "download", fraction: 0.05 + done * 0.6, message: `fetching ${fetchMB} MB of packages` })
  if (missing.length > 0) reportDownload(0)
  await downloadPackages(packages, cacheDirectory, reportDownload)
  onProgress({ step: "unpack", fraction: 0.65, message: "unpacking packages" })
  const scratch = await mkdtemp(join(work, "scratch-"))
  const unpacked = join(scratch, "packages")
  const root = join(scratch, "root")
  await mkdir(root)
  await chmod(root, 0o755)
  await unpackPackages(packages, cacheDirectory, unpacked)
  onProgress({ step: "root", fraction: 0.8, message: "putting the root file system together" })
  const kernel = await findKernel(unpacked)
  await buildRootTree(recipe, unpacked, kernel, root)
  await writeFile(join(work, "initrd"), await buildInitrd(recipe, unpacked, kernel))
  await copyFile(kernel.imagePath, join(work, "vmlinuz"))
  onProgress({ step: "disk", fraction: 0.9, message: "writing the disk" })
  await writeDisk(root, join(scratch, "disk.raw"), recipe.sizeBytes, join(work, "disk.qcow2"))
  await writeFacts(recipe, packages, work)
  await rm(scratch, { recursive: true })
}

/** ext4 over the whole disk, without partitions, packed as zstd qcow2. */
async function writeDisk(root: string, rawPath: string, sizeBytes: number, target: string): Promise<void> {
  await writeFile(rawPath, "")
  await truncate(rawPath, sizeBytes)
  // Few inodes and no lazy work: what mke2fs leaves to the first mount, every guest would do again on its own volume.
  const extended = "nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
  const options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-i", "32768", "-m", "1", "-E", extended, "-L", "root"]
  await run("mke2fs", [...options, "-d", root, rawPath])
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", rawPath, target])
}

async function writeFacts(recipe: ImageRecipe, packages: readonly Package[], work: string): Promise<void> {
  const facts: ImageFacts = {
    id: imageIdOf(recipe.name),
    name: recipe.name,
    description: recipe.description,
    architecture: recipe.architecture,
    sizeBytes: recipe.sizeBytes,
    rootDeviceName: recipe.rootDeviceName,
    bootKind: "kernel",
    commandLine: recipe.commandLine,
    loginUser: recipe.loginUser,
    createdMs: Date.now(),
    recipeHash: await recipeHash(recipe),
    packages: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
  }
  await writeFile(join(work, "image.json"), `${JSON.stringify(facts, null, 2)}\n`)
}

/** Hard links where the file system allows: the files never change. */
async function placeFiles(source: string, folder: string): Promise<void> {
  for (const name of files) {
    const target = join(folder, name)
    await link(join(source, name), target).catch(() => copyFile(join(source, name), target, constants.COPYFILE_FICLONE))
  }
}

async function syncFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    await chmod(join(folder, name), 0o644)
    await syncPath(join(folder, name))
  }
  await syncPath(folder)
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
