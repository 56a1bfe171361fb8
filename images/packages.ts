/** Gets a distribution's packages without installing them: apt resolves and verifies, dpkg-deb unpacks. */
import { createHash } from "node:crypto"
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startTimeOf } from "#lib/claim.ts"
import { ImageError, run } from "./command.ts"
import { indexOptions, updateIndex } from "./package-index.ts"
import type { ImageRecipe } from "./recipe.ts"

const groupBytes = 24_000_000

/** Options for apt: where its index is. */
type Index = readonly string[]

export interface Package {
  readonly name: string
  readonly version: string
  /** Name in the cache, as apt writes it. */
  readonly file: string
  readonly sizeBytes: number
  /** "SHA256:..." as the signed index says; older indexes carry another digest. */
  readonly digest: string
}

/** The packages of a recipe with their dependencies, as the index has them now. */
export async function resolvePackages(
  recipe: ImageRecipe,
  cacheDirectory: string,
  nowMs = Date.now(),
): Promise<Package[]> {
  await mkdir(join(cacheDirectory, "packages"), { recursive: true })
  const architecture = (await run("dpkg", ["--print-architecture"])).trim()
  if (architecture !== "amd64") {
    throw new ImageError(
      "missing-packages",
      `${recipe.name} is built of amd64 packages; this machine has ${architecture}`,
    )
  }
  const index = await indexOptions(recipe, cacheDirectory, nowMs)
  try {
    return await resolveOnce(recipe, cacheDirectory, index)
  } catch (error) {
    if (error instanceof ImageError && error.code === "missing-tool") throw error
    // An index that is absent or from before a name changed: fetch it once.
    await updateIndex(index).catch((reason: unknown) => {
      const text = `packages are not in the index (${message(error)}), and ${message(reason)}`
      throw new ImageError("no-network", text, { cause: reason })
    })
    return await resolveOnce(recipe, cacheDirectory, index)
  }
}

async function resolveOnce(recipe: ImageRecipe, cacheDirectory: string, index: Index): Promise<Package[]> {
  const kernel = await firstKnown(recipe.kernelPackages, index)
  if (recipe.kind === "distribution") return await closure([...recipe.packages, kernel], cacheDirectory, index)
  const [programs, kernels, tools] = await Promise.all([
    closure(recipe.packages, cacheDirectory, index),
    closure([kernel], cacheDirectory, index),
    single(recipe.buildPackages, index),
  ])
  return [
    ...programs.filter(({ name }) => !recipe.withoutPackages.test(name)),
    ...kernels.filter(({ name }) => /^linux-(image|modules)-\d/.test(name)),
    ...tools,
  ]
}

/** The packages themselves, without what they depend on. */
async function single(names: readonly string[], index: Index): Promise<Package[]> {
  return packagesOf(await run("apt-get", ["download", "-qq", "--print-uris", ...index, ...names]))
}

async function firstKnown(names: readonly string[], index: Index): Promise<string> {
  const listed = await run("apt-cache", ["policy", ...index, ...names])
  for (const name of names) {
    const candidate = new RegExp(`^${name}:\\n.*\\n +Candidate: (.*)$`, "m").exec(listed)?.[1]
    if (candidate && candidate !== "(none)") return name
  }
  throw new ImageError("missing-packages", `no kernel package known here (looked for ${names.join(", ")})`)
}

/** What apt would install into an empty machine. */
async function closure(names: readonly string[], cacheDirectory: string, index: Index): Promise<Package[]> {
  const status = join(cacheDirectory, "packages", "empty-status")
  await writeFile(status, "")
  // apt leaves out what its own folder of archives already has: give it an empty one.
  const archives = join(cacheDirectory, "packages", "none")
  await mkdir(join(archives, "partial"), { recursive: true })
  const settings = {
    "Dir::State::status": status,
    "Dir::Cache::archives": archives,
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Debug::NoLocking": "1",
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`])
  const printed = await run("apt-get", [
    "install",
    "-qq",
    "--print-uris",
    "--no-install-recommends",
    ...index,
    ...options,
    ...names,
  ])
  return packagesOf(printed)
}

function packagesOf(printed: string): Package[] {
  return printed.split("\n").flatMap((line) => {
    const [, file, size, digest] = /^'[^']+' (\S+\.deb) (\d+) ?(\S*)$/.exec(line) ?? []
    const [name, version] = file?.split("_") ?? []
    if (!file || !name || !version) return []
    return [{ name, version: decodeURIComponent(version), file, sizeBytes: Number(size), digest: digest ?? "" }]
  })
}

/** Those of `packages` that the cache has not, or has damaged. */
export async function missingPackages(packages: readonly Package[], cacheDirectory: string): Promise<Package[]> {
  const checked = await Promise.all(
    packages.map(async (item) => ((await isWhole(item, join(cacheDirectory, "packages", item.file))) ? [] : [item])),
  )
  return checked.flat()
}

async function isWhole(item: Package, path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined)
  if (facts?.size !== item.sizeBytes) return false
  if (!item.digest.startsWith("SHA256:")) return true
  return (
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex") === item.digest.slice("SHA256:".length)
  )
}

/** Brings the missing ones into the cache; `onFraction` hears 0 to 1. Throws ImageError `no-network`, naming the packages. */
export async function downloadPackages(
  packages: readonly Package[],
  cacheDirectory: string,
  onFraction: (fraction: number) => void,
  index: Index = [],
): Promise<void> {
  const missing = await missingPackages(packages, cacheDirectory)
  if (missing.length === 0) return
  await sweepDownloads(join(cacheDirectory, "packages"))
  const total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let done = 0
  for (const group of groupsOf(missing)) {
    const size = group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    await downloadGroup(
      group,
      join(cacheDirectory, "packages"),
      (part) => onFraction((done + part * size) / total),
      index,
    )
    done += size
  }
  const absent = await missingPackages(missing, cacheDirectory)
  if (absent.length > 0)
    throw new ImageError("no-network", `packages could not be fetched: ${absent.map(({ file }) => file).join(", ")}`)
}

/** Some at a time, each lot kept as it comes: what is interrupted goes on from there. */
function groupsOf(packages: readonly Package[]): Package[][] {
  const groups: Package[][] = []
  let room = 0
  for (const item of packages) {
    if (room < item.sizeBytes) groups.push([])
    room = (room < item.sizeBytes ? groupBytes : room) - item.sizeBytes
    groups.at(-1)?.push(item)
  }
  return groups
}

async function downloadGroup(
  group: readonly Package[],
  target: string,
  onFraction: (fraction: number) => void,
  index: Index,
): Promise<void> {
  const folder = await mkdtemp(join(target, `.download-${process.pid}-`))
  try {
    await aptDownload(group, folder, onFraction, index)
    for (const file of await readdir(folder)) await rename(join(folder, file), join(target, file))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What downloads of processes that are gone left behind. */
export async function sweepDownloads(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch((): string[] => [])) {
    const [, pid] = /^\.download-(\d+)-/.exec(name) ?? []
    if (pid === undefined || startTimeOf(Number(pid)) !== undefined) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

/** apt checks each file against the signed index before it shows up. */
function aptDownload(
  packages: readonly Package[],
  folder: string,
  onFraction: (fraction: number) => void,
  index: Index,
): Promise<void> {
  const names = packages.map(({ name, version }) => `${name}=${version}`)
  const settings = ["APT::Sandbox::User=root", "APT::Status-Fd=3", "Acquire::Retries=2", "Acquire::http::Timeout=30"]
  const child = spawn(
    "apt-get",
    ["download", "-qq", ...index, ...settings.flatMap((setting) => ["-o", setting]), ...names],
    {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      timeout: 900_000,
      killSignal: "SIGKILL",
    },
  )
  let words = ""
  child.stderr?.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)))
  child.stdio[3]?.on("data", (chunk: Buffer) => {
    const percent = /dlstatus:\d+:([\d.]+):[^\n]*\n?$/.exec(chunk.toString())?.[1]
    if (percent) onFraction(Number(percent) / 100)
  })
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new ImageError("missing-tool", "apt-get is not installed", { cause: error })))
    child.on("close", (code) => {
      if (code === 0) return resolve()
      const list = packages.map(({ file }) => file).join(", ")
      reject(
        new ImageError(
          "no-network",
          `packages could not be fetched (${list}): ${words.trim().split("\n").slice(-2).join("; ")}`,
        ),
      )
    })
  })
}

/** Unpacks all into one folder in which /bin, /lib and /sbin are links into /usr, as on a merged system. */
export async function unpackPackages(
  packages: readonly Package[],
  cacheDirectory: string,
  folder: string,
): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    await mkdir(join(folder, "usr", name), { recursive: true })
    await symlink(`usr/${name}`, join(folder, name))
  }
  for (const item of packages) await unpack(join(cacheDirectory, "packages", item.file), folder)
}

/** `dpkg-deb -x` would put a directory in place of a link that a package still ships as one. */
function unpack(path: string, folder: string): Promise<void> {
  const source = spawn("dpkg-deb", ["--fsys-tarfile", path], { stdio: ["ignore", "pipe", "ignore"], timeout: 120_000 })
  const target = spawn("tar", ["-x", "-p", "--keep-directory-symlink", "-C", folder], {
    stdio: [source.stdout, "ignore", "pipe"],
    timeout: 120_000,
  })
  // Our own end: with it open, one program would wait for ever for the other that is gone.
  source.stdout.destroy()
  let words = ""
  target.stderr.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-500)))
  const ends = [source, target].map(
    (child) =>
      new Promise<void>((resolve, reject) => {
        child.on("error", (error) =>
          reject(new ImageError("missing-tool", `${child.spawnfile} is not installed`, { cause: error })),
        )
        child.on("exit", (code) =>
          code === 0 ? resolve() : reject(new ImageError("failed", `${path} does not unpack: ${words}`)),
        )
      }),
  )
  return Promise.all(ends).then(() => undefined)
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
