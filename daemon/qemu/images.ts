/** The images of a home as the API sees them, and a look now and then whether they are still the same. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { HostConnection } from "#host/protocol/types.ts"
import { readAsked } from "#images/asked.ts"
import { catalog } from "#images/catalog.ts"
import type { PublicImage } from "#services/ec2/images/register.ts"

const lookEveryMs = 2_000

/** Those on the host's disk, and as pending those that are being built. `directory` is the home's folder of images. */
export async function publicImages(connection: HostConnection, directory: string): Promise<readonly PublicImage[]> {
  // First: one that is finished in between is then in the facts.
  const asked = readAsked(directory)
  const { images } = await connection.facts()
  const built = images.map((image): PublicImage => {
    const known = catalog.find((entry) => entry.id === image.id)
    const rootDeviceName = known?.rootDeviceName ?? "/dev/xvda"
    return { ...image, description: known?.description ?? image.name, rootDeviceName, state: "available" }
  })
  const pending = asked
    .filter(({ id }) => !built.some((image) => image.id === id))
    .map((image): PublicImage => ({ ...image, createdMs: image.askedMs, state: "pending" }))
  return [...built, ...pending]
}

/** Calls `changed` when images came, went or began to be built; what it gives back ends that. Looking is a few calls of stat. */
export function watchImages(directory: string, changed: () => Promise<void>): () => void {
  let seen: string | undefined
  let busy = false
  const look = async (): Promise<void> => {
    if (busy) return
    busy = true
    try {
      const now = await signature(directory)
      if (now !== seen) await changed()
      seen = now
    } catch (error) {
      console.error("looking at the images", error)
    } finally {
      busy = false
    }
  }
  const timer = setInterval(() => void look(), lookEveryMs)
  timer.unref()
  void look()
  return () => clearInterval(timer)
}

async function signature(directory: string): Promise<string> {
  const names = (await readdir(directory).catch((): string[] => [])).filter((name) => name.startsWith("ami-"))
  const whole = names.toSorted().map(async (name) => {
    const facts = await stat(join(directory, name, "image.json")).catch(() => undefined)
    return `${name} ${facts?.mtimeMs}`
  })
  const asked = readAsked(directory).map(({ id }) => `asked ${id}`)
  return [...(await Promise.all(whole)), ...asked].join("\n")
}
