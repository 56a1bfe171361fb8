/** Folders that are there whole or not at all. */
import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { startTimeOf } from "#lib/claim.ts"
import type { Clock } from "#lib/clock.ts"

/** Lets `fill` write into a folder beside `folder`, then gives it that name. Nobody sees half a folder; the first one wins. */
export async function publishFolder(
  folder: string,
  isWhole: (folder: string) => Promise<boolean>,
  clock: Clock,
  fill: (work: string) => Promise<void>,
): Promise<void> {
  const parent = join(folder, "..")
  await mkdir(parent, { recursive: true })
  await sweep(parent, clock)
  const work = await mkdtemp(join(parent, `.building-${process.pid}-`))
  try {
    await fill(work)
    await chmod(work, 0o755)
    await syncFolder(work)
    await takeName(work, folder, isWhole)
    await syncPath(parent)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function takeName(work: string, folder: string, isWhole: (folder: string) => Promise<boolean>): Promise<void> {
  if (await renamed(work, folder)) return
  if (await isWhole(folder)) return
  // What lies there is not whole: aside with it, under a name that is swept.
  const broken = `${work}-broken`
  await renamed(folder, broken)
  await renamed(work, folder)
  await rm(broken, { recursive: true, force: true })
}

/** False when there is something at the target, or nothing at the source. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOENT") return false
    throw error
  }
}

/** Removes what builds that were killed left behind: their process is gone, or it has become another; nothing takes six hours. */
export async function sweep(parent: string, clock: Clock): Promise<void> {
  for (const name of await readdir(parent).catch((): string[] => [])) {
    if (!name.startsWith(".building-")) continue
    const [, pid] = /^\.building-(\d+)-/.exec(name) ?? []
    const gone = pid !== undefined && startTimeOf(Number(pid)) === undefined
    const facts = await stat(join(parent, name)).catch(() => undefined)
    if (gone || (facts && clock.wallMs() - facts.mtimeMs > 6 * 3_600_000))
      await rm(join(parent, name), { recursive: true, force: true, maxRetries: 5 })
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
