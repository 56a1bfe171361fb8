/** Images that were asked for and are not there yet: a small file each in the home's folder of images, for as long as somebody builds. */
import { readFileSync } from "node:fs"
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { catalog } from "./catalog.ts"
import type { CatalogImage } from "./catalog.ts"

export interface AskedImage extends CatalogImage {
  readonly askedMs: number
}

interface Builder {
  readonly pid: number
  /** Clock ticks after boot, field 22 of /proc/PID/stat: a pid alone is reused. */
  readonly startTime: number
}

const fileOf = (directory: string, id: string): string => join(directory, `.asked-${id}.json`)

/** Says in `directory`, a home's images, that this process builds an image; what it gives back takes that away again. */
export async function askFor(directory: string, id: string, askedMs: number): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true })
  const builder: Builder = { pid: process.pid, startTime: startOf(process.pid) ?? 0 }
  const path = fileOf(directory, id)
  await writeFile(path, `${JSON.stringify({ ...builder, askedMs })}\n`, { mode: 0o644 })
  return () => rm(path, { force: true })
}

/** Images of the catalog that a living process builds into this home now. Remains of one that was killed do not count. */
export async function readAsked(directory: string): Promise<readonly AskedImage[]> {
  const names = await readdir(directory).catch((): string[] => [])
  const found = catalog
    .filter(({ id }) => names.includes(`.asked-${id}.json`))
    .map(async (image) => {
      const text = await readFile(fileOf(directory, image.id), "utf8").catch(() => "")
      const [, pid, startTime, askedMs] = /^\{"pid":(\d+),"startTime":(\d+),"askedMs":(\d+)\}\n$/.exec(text) ?? []
      if (pid === undefined || startOf(Number(pid)) !== Number(startTime)) return []
      return [{ ...image, askedMs: Number(askedMs) }]
    })
  return (await Promise.all(found)).flat()
}

function startOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19])
  } catch {
    return undefined
  }
}
