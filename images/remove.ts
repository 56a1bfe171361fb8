/** Takes an image out of a home, unless something stands on it. */
import { readFile, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"

export interface ImageUsers {
  readonly volumes: readonly string[]
  readonly instances: readonly string[]
}

/**
 * Removes the image `id` of `home`; gives what uses it instead, and then leaves it as it was. `instances` is asked for those that are about to use it
 * once nothing new can. Gives undefined when there was no such image.
 */
export async function removeImage(
  home: string,
  id: string,
  instances: () => Promise<readonly string[]>,
): Promise<ImageUsers | undefined> {
  const folder = join(home, "images", id)
  const facts = join(folder, "image.json")
  const withdrawn = join(folder, "withdrawn.json")
  if (!(await isThere(folder))) return undefined
  // Without its facts it is no image any more: no volume begins on it from here on.
  const was = await rename(facts, withdrawn).then(
    () => true,
    () => isThere(withdrawn),
  )
  let gone = false
  try {
    const users = { instances: await instances(), volumes: await volumesOn(home, id) }
    if (users.instances.length + users.volumes.length > 0) return users
    gone = true
  } finally {
    if (was && !gone) await rename(withdrawn, facts)
  }
  await rm(folder, { recursive: true })
  const volumes = join(home, "volumes")
  const templates = (await namesIn(volumes)).filter((name) => name.startsWith(".template-") && name.endsWith(`-${id}`))
  for (const name of templates) await rm(join(volumes, name), { force: true })
  return { instances: [], volumes: [] }
}

/** By the records that the storage engine keeps beside each volume. */
async function volumesOn(home: string, id: string): Promise<string[]> {
  const folder = join(home, "volumes")
  const records = (await namesIn(folder)).filter((name) => /^vol-[0-9a-f]+\.json$/.test(name))
  const found = await Promise.all(
    records.map(async (name) => {
      const text = await readFile(join(folder, name), "utf8").catch(() => "{}")
      const value = JSON.parse(text) as { image?: unknown }
      return value.image === id ? [name.replace(".json", "")] : []
    }),
  )
  return found.flat()
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    // A home that was never started has no volumes; any other reason must not look like "none".
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return []
    throw error
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
