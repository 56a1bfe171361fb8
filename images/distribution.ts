/** Installs a distribution's packages into a folder by mmdebstrap: without a network, and with nothing that outlives it. */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { copyFile, link, mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { ImageError, run } from "./command.ts"
import { layOver } from "./root-tree.ts"
import type { Package } from "./packages.ts"
import type { DistributionRecipe } from "./recipe.ts"

const installMs = 1_800_000

/**
 * Fills `root` (absent or empty) with exactly `packages` of the cache, whose content apt has verified, and the recipe's files; ends with the
 * recipe's own program. `scratch` is a folder to work in. Throws ImageError.
 */
export async function installDistribution(
  recipe: DistributionRecipe,
  packages: readonly Package[],
  cacheDirectory: string,
  scratch: string,
  root: string,
  onFraction: (fraction: number) => void,
): Promise<void> {
  const repository = join(scratch, "repository")
  await makeRepository(packages, cacheDirectory, repository)
  const overlay = join(scratch, "overlay")
  await layOver(recipe, overlay)
  const words = [
    "--mode=root",
    "--variant=apt",
    "--format=directory",
    "--verbose",
    `--include=${packages.map(({ name }) => name).join(",")}`,
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    '--aptopt=APT::Sandbox::User "root"',
    "--dpkgopt=force-unsafe-io",
    // Before the other packages: their scripts read some of it.
    `--essential-hook=cp --archive ${quoted(`${overlay}/.`)} "$1"`,
    `--customize-hook=${quoted(join(recipe.folder, recipe.customize))} "$1"`,
    recipe.suite,
    root,
    `deb [trusted=yes] copy://${repository} ./`,
  ]
  let steps = 0
  const onLine = (line: string): void => {
    if (/^(Unpacking|Setting up) /.test(line)) onFraction(Math.min(1, ++steps / (packages.length * 2)))
  }
  await run("setpriv", [...contained, "mmdebstrap", ...words], { timeoutMs: installMs, onLine }).catch(explained)
}

/** Ends with its caller, with all that it started; its mounts are seen by nobody else; there is no network to reach. */
const contained = ["--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]

function explained(error: unknown): never {
  if (error instanceof ImageError && /mmdebstrap: No such file/.test(error.message))
    throw new ImageError("missing-tool", "mmdebstrap is not installed", { cause: error })
  throw error
}

/** A folder that apt takes packages from: files and their index. */
async function makeRepository(packages: readonly Package[], cacheDirectory: string, folder: string): Promise<void> {
  await mkdir(folder)
  const index: string[] = []
  for (const { name, file, sizeBytes } of packages) {
    const source = join(cacheDirectory, "packages", file)
    const control = await run("dpkg-deb", ["--field", source])
    const digest = createHash("sha256")
      .update(await readFile(source))
      .digest("hex")
    const target = `${name}.deb`
    await link(source, join(folder, target)).catch(() =>
      copyFile(source, join(folder, target), constants.COPYFILE_FICLONE),
    )
    index.push(`${control.trimEnd()}\nFilename: ./${target}\nSize: ${sizeBytes}\nSHA256: ${digest}\n`)
  }
  await writeFile(join(folder, "Packages"), index.join("\n"))
}

/** For the shell that mmdebstrap calls its hooks with. */
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
