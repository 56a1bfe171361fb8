/** The initrd: a cpio archive in the "newc" format that the kernel unpacks. https://docs.kernel.org/driver-api/early-userspace/buffer-format.html */
import { readFile } from "node:fs/promises"
import { basename, join } from "node:path"
import type { Kernel } from "./modules.ts"
import type { ProgramsRecipe } from "./recipe.ts"

export interface ArchiveEntry {
  readonly path: string
  /** Type and permission bits, as in stat. */
  readonly mode: number
  readonly content?: Buffer
}

const directory = 0o040755
const executable = 0o100755
const plain = 0o100644

/**
 * Busybox, the modules that lead to the root disk, and the recipe's `initrd/init`. Not packed: a guest under emulation unpacks slower
 * than the machine hands over plain bytes.
 */
export async function buildInitrd(recipe: ProgramsRecipe, packages: string, kernel: Kernel): Promise<Buffer> {
  const modules = await kernel.modules(recipe.initrdModules, recipe.optionalModules)
  const files = modules.map(async ({ source }) => ({
    path: `modules/${basename(source).replace(/\.(xz|zst)$/, "")}`,
    mode: plain,
    content: await readFile(source.replace(/\.(xz|zst)$/, "")),
  }))
  const order = modules.map(({ path }) => `${basename(path)}\n`).join("")
  return archive([
    ...["bin", "dev", "proc", "sys", "root", "modules"].map((path) => ({ path, mode: directory })),
    { path: "init", mode: executable, content: await readFile(join(recipe.folder, "initrd/init")) },
    { path: "bin/busybox", mode: executable, content: await readFile(join(packages, "usr/bin/busybox")) },
    { path: "modules/order", mode: plain, content: Buffer.from(order) },
    ...(await Promise.all(files)),
  ])
}

/** Entries in order, owned by root, without times: the same entries give the same bytes. */
export function archive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.map((entry, index) => record(entry, index + 1))
  return Buffer.concat([...parts, record({ path: "TRAILER!!!", mode: 0 }, 0)])
}

function record({ path, mode, content = Buffer.alloc(0) }: ArchiveEntry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`)
  const links = mode === directory ? 2 : 1
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`)
  return Buffer.concat([aligned(Buffer.concat([header, name])), aligned(content)])
}

function aligned(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
