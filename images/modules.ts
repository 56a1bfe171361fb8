/** Kernel modules: finds them, reads what they depend on from the modules themselves, copies them unpacked. */
import { copyFile, mkdir, readFile, readdir, writeFile } from "node:fs/promises"
import { basename, dirname, join, relative } from "node:path"
import { zstdDecompressSync } from "node:zlib"
import { ImageError, run } from "./command.ts"

export interface KernelModule {
  readonly name: string
  /** Path below the folder of modules, without the suffix of a packer. */
  readonly path: string
  readonly source: string
  readonly dependencies: readonly string[]
  readonly aliases: readonly string[]
}

export interface Kernel {
  readonly version: string
  readonly imagePath: string
  /** The named modules after all they depend on; built-in ones are left out. Throws ImageError for one that is nowhere. */
  modules(names: readonly string[], optional: readonly string[]): Promise<KernelModule[]>
}

/** The one kernel among unpacked packages. */
export async function findKernel(folder: string): Promise<Kernel> {
  const [image, ...more] = (await readdir(join(folder, "boot"))).filter((name) => name.startsWith("vmlinuz-"))
  if (!image || more.length > 0) throw new ImageError("missing-packages", "the packages hold no kernel, or several")
  const version = image.slice("vmlinuz-".length)
  const home = join(folder, "usr/lib/modules", version)
  const files = new Map<string, string>()
  for (const path of await readdir(home, { recursive: true })) {
    if (/\.ko(\.xz|\.zst)?$/.test(path)) files.set(moduleName(path), path)
  }
  const builtin = new Set((await readFile(join(home, "modules.builtin"), "utf8")).split("\n").map(moduleName))
  return {
    version,
    imagePath: join(folder, "boot", image),
    modules: (names, optional) => inOrder(home, files, builtin, names, new Set(optional.map(moduleName))),
  }
}

async function inOrder(
  home: string,
  files: ReadonlyMap<string, string>,
  builtin: ReadonlySet<string>,
  names: readonly string[],
  optional: ReadonlySet<string>,
): Promise<KernelModule[]> {
  const found = new Map<string, KernelModule>()
  const seen = new Set<string>()
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name)) return
    seen.add(name)
    const path = files.get(name)
    if (!path) {
      if (builtin.has(name) || optional.has(name)) return
      throw new ImageError("missing-packages", `the kernel has no module ${name}`)
    }
    const facts = await readModule(join(home, path))
    for (const dependency of facts.dependencies) await visit(dependency)
    found.set(name, { name, path: path.replace(/\.(xz|zst)$/, ""), source: join(home, path), ...facts })
  }
  for (const name of names) await visit(moduleName(name))
  return [...found.values()]
}

async function readModule(path: string): Promise<{ dependencies: string[]; aliases: string[] }> {
  const content = await readFile(await unpacked(path))
  return {
    dependencies: strings(content, "depends=").flatMap((list) => list.split(",").filter(Boolean).map(moduleName)),
    aliases: strings(content, "alias="),
  }
}

/** Values of `key` in the .modinfo section: "key=value", each ended by a zero byte. */
function strings(content: Buffer, key: string): string[] {
  const values: string[] = []
  for (let at = content.indexOf(key); at >= 0; at = content.indexOf(key, at + 1)) {
    if (at > 0 && content[at - 1] !== 0) continue
    values.push(content.toString("latin1", at + key.length, content.indexOf(0, at)))
  }
  return values
}

/** Path of the module without a packer's suffix, unpacked beside it when it was packed. */
async function unpacked(path: string): Promise<string> {
  const plain = path.replace(/\.(xz|zst)$/, "")
  if (path.endsWith(".zst")) await writeFile(plain, zstdDecompressSync(await readFile(path)))
  if (path.endsWith(".xz")) await run("xz", ["--decompress", "--keep", "--force", path])
  return plain
}

/** Copies modules to `folder` and writes the indexes that modprobe reads. */
export async function installModules(modules: readonly KernelModule[], folder: string): Promise<void> {
  const pathOf = new Map(modules.map(({ name, path }) => [name, path]))
  for (const module of modules) {
    const target = join(folder, module.path)
    await mkdir(dirname(target), { recursive: true })
    await copyFile(module.source.replace(/\.(xz|zst)$/, ""), target)
  }
  const dependencies = modules.map(
    ({ path, dependencies }) =>
      `${path}:${dependencies
        .flatMap((name) => pathOf.get(name) ?? [])
        .map((it) => ` ${it}`)
        .join("")}`,
  )
  const aliases = modules.flatMap(({ name, aliases }) => aliases.map((alias) => `alias ${alias} ${name}`))
  await writeFile(join(folder, "modules.dep"), `${dependencies.join("\n")}\n`)
  await writeFile(join(folder, "modules.alias"), `${aliases.join("\n")}\n`)
}

function moduleName(path: string): string {
  return basename(relative("/", join("/", path)))
    .replace(/\.ko(\.xz|\.zst)?$/, "")
    .replaceAll("-", "_")
}
