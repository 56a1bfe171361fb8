/** The index that apt answers from: the machine's own where it has the release, otherwise one beside the cached packages. */
import { mkdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { ImageError, run } from "./command.ts"
import type { DistributionRecipe, ImageRecipe } from "./recipe.ts"

const dayMs = 86_400_000

/** apt's options for packages of this recipe. Fetches an index that is missing or a day old, never the machine's. Throws ImageError. */
export async function indexOptions(
  recipe: ImageRecipe,
  cacheDirectory: string,
  nowMs: number,
): Promise<readonly string[]> {
  if (recipe.kind === "programs" || (await machineHas(recipe))) return []
  if (!(await stat(recipe.keyring.path).catch(() => undefined)))
    throw new ImageError("missing-tool", `${recipe.keyring.package} is not installed`)
  const lists = join(cacheDirectory, "packages", `index-${recipe.suite}`)
  const settings = {
    "Dir::Etc::sourcelist": "/dev/null",
    // Those that the image itself will have.
    "Dir::Etc::sourceparts": join(recipe.folder, "root/etc/apt/sources.list.d"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State::lists": lists,
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "APT::Default-Release": "",
    "APT::Sandbox::User": "root",
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`])
  const fetched = await stat(join(lists, "partial")).catch(() => undefined)
  if (fetched && nowMs - fetched.mtimeMs < dayMs) return options
  await mkdir(lists, { recursive: true })
  await updateIndex(options)
  return options
}

/** Fetches the index anew. Throws ImageError `no-network`. */
export async function updateIndex(options: readonly string[]): Promise<void> {
  // By itself apt goes on with what it had, and says that all is well.
  const strict = ["-o", "APT::Update::Error-Mode=any"]
  const words = ["update", "-qq", ...(options.length > 0 ? strict : []), ...options]
  await run("apt-get", words, { timeoutMs: 300_000 }).catch((reason: unknown) => {
    const why = reason instanceof Error ? reason.message : String(reason)
    throw new ImageError("no-network", `the index of packages cannot be fetched: ${why}`, { cause: reason })
  })
}

/** Packages of another release would install as well, and be something else than the image's name says. */
async function machineHas({ release }: DistributionRecipe): Promise<boolean> {
  const listed = await run("apt-cache", ["policy", release.package])
  const candidate = /^ +Candidate: (.*)$/m.exec(listed)?.[1] ?? ""
  return release.version.test(candidate)
}
