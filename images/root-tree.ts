/** Puts the root file system together from unpacked packages and the files of a recipe. */
import {
  chmod,
  chown,
  cp,
  glob,
  lchown,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  realpath,
  symlink,
  writeFile,
} from "node:fs/promises"
import { basename, dirname, join, relative, resolve } from "node:path"
import { ImageError, run } from "./command.ts"
import { dynamicNeeds } from "./elf.ts"
import { installModules } from "./modules.ts"
import type { Kernel } from "./modules.ts"
import type { ImageRecipe, ProgramsRecipe } from "./recipe.ts"

/** Fills `root` (an empty folder): everything owned by root save the login user's home. */
export async function buildRootTree(
  recipe: ProgramsRecipe,
  packages: string,
  kernel: Kernel,
  root: string,
): Promise<void> {
  for (const { path, mode } of recipe.directories) {
    await mkdir(join(root, path), { recursive: true })
    await chmod(join(root, path), mode)
  }
  // Before any file: some of the links are folders that files go through.
  for (const [path, target] of Object.entries(recipe.links)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await symlink(target, join(root, path))
  }
  await copyPrograms(recipe, packages, root)
  await layOver(recipe, root)
  await linkApplets(recipe, root)
  await writeCertificates(root)
  const modules = await kernel.modules([...recipe.initrdModules, ...recipe.rootModules], recipe.optionalModules)
  await installModules(modules, join(root, "usr/lib/modules", kernel.version))
  await run("ldconfig", ["-r", root])
  for (const { path, uid } of recipe.directories) if (uid !== undefined) await chown(join(root, path), uid, uid)
}

async function copyPrograms(recipe: ProgramsRecipe, packages: string, root: string): Promise<void> {
  const done = new Set<string>()
  for (const pattern of recipe.rootFiles) {
    const matches = await Array.fromAsync(glob(pattern, { cwd: packages }))
    if (matches.length === 0) throw new ImageError("missing-packages", `no package holds ${pattern}`)
    for (const path of matches) await copyWithLibraries(packages, path, root, done)
  }
}

/** Copies a file under its own name (a link becomes the file it leads to), then what it is linked against. */
async function copyWithLibraries(packages: string, path: string, root: string, done: Set<string>): Promise<void> {
  if (done.has(path)) return
  done.add(path)
  const source = await followInside(packages, path)
  await mkdir(dirname(join(root, path)), { recursive: true })
  // cp keeps set-user-id bits; the copy of a link's target gets the link's name.
  await run("cp", ["--preserve=mode,timestamps", "--reflink=auto", source, join(root, path)])
  const needs = dynamicNeeds(await readFile(source))
  if (!needs) return
  if (needs.interpreter) await copyWithLibraries(packages, merged(needs.interpreter), root, done)
  for (const library of needs.libraries) {
    await copyWithLibraries(packages, await findLibrary(packages, needs.searchPaths, library), root, done)
  }
}

async function findLibrary(packages: string, searchPaths: readonly string[], name: string): Promise<string> {
  const places = [...searchPaths.map(merged), "usr/lib/x86_64-linux-gnu", "usr/lib"]
  for (const place of places) {
    if (await lstat(join(packages, place, name)).catch(() => undefined)) return join(place, name)
  }
  throw new ImageError("missing-packages", `no package holds the library ${name}`)
}

/** Follows links as if `folder` were the root. */
async function followInside(folder: string, path: string): Promise<string> {
  let current = path
  for (let hops = 0; hops < 20; hops++) {
    const full = join(await realpath(join(folder, dirname(current))), basename(current))
    const facts = await lstat(full).catch(() => undefined)
    if (!facts) throw new ImageError("missing-packages", `no package holds ${path}`)
    if (!facts.isSymbolicLink()) return full
    const target = await readlink(full)
    const inside = relative(await realpath(folder), full)
    current = merged(resolve("/", dirname(inside), target))
  }
  throw new ImageError("failed", `${path}: too many links`)
}

/** /lib64/x and /lib/x as the merged tree has them, without a leading slash. */
function merged(path: string): string {
  const plain = path.replace(/^\//, "")
  return /^(bin|sbin|lib|lib64)\//.test(plain) ? join("usr", plain) : plain
}

/** The recipe's `root/` over what is there: owned by root, with the modes that the recipe gives. */
export async function layOver(recipe: ImageRecipe, root: string): Promise<void> {
  const overlay = join(recipe.folder, "root")
  for (const entry of await readdir(overlay, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = relative(overlay, join(entry.parentPath, entry.name))
    const target = join(root, path)
    const executable = ((await lstat(join(overlay, path))).mode & 0o100) !== 0
    await mkdir(dirname(target), { recursive: true })
    await cp(join(overlay, path), target)
    await lchown(target, 0, 0)
    await chmod(target, recipe.modes[path] ?? (executable ? 0o755 : 0o644))
  }
}

/** Links for busybox's applets wherever no real program stands. */
async function linkApplets(recipe: ProgramsRecipe, root: string): Promise<void> {
  const folder = join(root, "usr/bin")
  const listed = await run(join(folder, "busybox"), ["--list"])
  const taken = new Set([...(await readdir(folder)), ...recipe.withoutApplets])
  for (const name of listed.trim().split("\n")) if (!taken.has(name)) await symlink("busybox", join(folder, name))
}

/** One bundle of all authorities, where every TLS library looks for it. */
async function writeCertificates(root: string): Promise<void> {
  const folder = join(root, "usr/share/ca-certificates/mozilla")
  const names: string[] = (await readdir(folder)).toSorted()
  const bundle = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))
  await mkdir(join(root, "etc/ssl/certs"), { recursive: true })
  await writeFile(join(root, "etc/ssl/certs/ca-certificates.crt"), bundle.map((text) => `${text.trim()}\n`).join(""))
}
