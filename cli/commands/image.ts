import { existsSync } from "node:fs"
import { setTimeout as delay } from "node:timers/promises"
import type { CatalogImage } from "#images/catalog.ts"
import { isRoot } from "../caller.ts"
import { callJson, readStatus } from "../daemon/api.ts"
import { runningDaemon } from "../daemon/process.ts"
import { requireCredentials, requireDaemon } from "../daemon/require.ts"
import { Failure, program } from "../failure.ts"
import { type DaemonRecord, existingHome, homeFiles, homeFolder, homeWords, makeHome } from "../home.ts"
import { note, print, printJson, progressLine, table } from "../terminal.ts"
import { checkDisk, checkPrivileges } from "../up/prepare.ts"

type Options = { home?: string; json?: boolean }

type Warm = { state: "ready" | "making" } | { state: "refused"; why: string }

/** A boot on a busy machine, behind others that are made. */
const warmWithinMs = 600_000
/** Longest time until the daemon has seen what changed in the home, and how often it is asked. */
const seenWithinMs = 15_000
const askEveryMs = 200

/** `fractus image list`: the images that this home serves or holds, and those that it could build. */
export const listImages = async (options: Options): Promise<void> => {
  const home = existingHome(options.home)
  const { catalog } = await import("#images/catalog.ts")
  const { imageCells, imagesOf, notBuilt } = await import("../images/list.ts")
  // A home that was never started is more likely a mistyped one than one whose images are wanted.
  const daemon = existsSync(homeFiles(home).config) ? runningDaemon(home) : requireDaemon(home)
  const present = await imagesOf(home, daemon)
  const others = catalog.filter(({ id }) => !present.some((image) => image.id === id))
  const images = [...present, ...others.map(notBuilt)]
  if (options.json === true) return printJson({ images })
  print(table(images.map(imageCells)))
  for (const line of images.flatMap(({ mend }) => mend ?? [])) note(`To mend it: ${line}`)
}

/**
 * `fractus image build [NAME]`: builds a machine image into the home, or takes it from the cache. Meanwhile it is "pending". One that is built
 * there already, in the background or by another run, is waited for.
 */
export const buildImageOf = async (word: string, options: Options): Promise<void> => {
  const image = await imageNamed(word)
  const { id, name } = image
  const home = homeFolder(options.home)
  checkPrivileges(home)
  makeHome(home)
  checkDisk(home)
  const { buildInto } = await import("../images/build.ts")
  note(`Building ${name}, which will be ${id}`)
  const line = progressLine()
  try {
    await buildInto({ home }, image, (step, fraction) => line.show(`Image: ${step}`, fraction))
  } finally {
    line.end()
  }
  const daemon = runningDaemon(home)
  if (daemon?.engine === "qemu") await untilListed(daemon, id, "available")
  if (options.json === true) printJson({ id, name })
  else print(table([[id, name]]))
}

/** `fractus image remove NAME|ID`: refused while instances, volumes or images of accounts stand on it. What was built stays in the machine's cache. */
export const removeImageOf = async (word: string, options: Options): Promise<void> => {
  const { id, name } = await imageNamed(word)
  const home = existingHome(options.home)
  if (!isRoot()) throw new Failure(3, "removing an image needs root", `sudo ${program} image remove ${word}`)
  const { removeImage } = await import("#images/remove.ts")
  const daemon = runningDaemon(home)
  const users = await removeImage(home, id, async () => {
    if (daemon === undefined || daemon.engine !== "qemu") return []
    await untilListed(daemon, id, undefined)
    const { instances, madeImages } = await readStatus(daemon.endpoint)
    return [...instances, ...madeImages].filter(({ boots }) => boots === id).map((user) => user.id)
  })
  const list = `${program} image list${homeWords(home)}`
  if (users === undefined) throw new Failure(1, `${name} is not in ${home}`, list)
  const standing = [...users.instances, ...users.volumes]
  if (standing.length > 0) {
    if (daemon?.engine === "qemu") await untilListed(daemon, id, "available")
    const status = `${program} status${homeWords(home)}`
    throw new Failure(1, `${name} is in use by ${standing.slice(0, 5).join(", ")}`, status)
  }
  // Nor does it come back by itself.
  const { decline } = await import("#images/asked.ts")
  decline(homeFiles(home).images, id, true)
  if (options.json === true) printJson({ id, name })
  else print(table([[id, name]]))
}

/**
 * `fractus image warm NAME|ID [--instance-type T]`: returns when launches of that type from that image are clones of a warm template.
 */
export const warmImageOf = async (word: string, options: Options & { instanceType: string }): Promise<void> => {
  const id = /^ami-[0-9a-f]+$/.test(word) ? word : (await imageNamed(word)).id
  const type = options.instanceType
  const home = existingHome(options.home)
  const { endpoint } = requireDaemon(home)
  const token = requireCredentials(home).controlToken
  const end = performance.now() + warmWithinMs
  note(`A warm template of ${id} on ${type} takes a boot`)
  for (;;) {
    const body = { image: id, type }
    const answer = await callJson<Warm>(endpoint, "POST", "/_fractus/warm", { token, body })
    if (answer.state === "ready") break
    if (answer.state === "refused")
      throw new Failure(1, `no warm template of ${id} on ${type}: ${answer.why}`, `${program} logs`)
    if (performance.now() > end) {
      throw new Failure(1, `the template of ${id} was not made in ${warmWithinMs / 60_000} minutes`, `${program} logs`)
    }
    await delay(askEveryMs)
  }
  if (options.json === true) printJson({ id, instanceType: type })
  else print(table([[id, type, "warm"]]))
}

const imageNamed = async (word: string): Promise<CatalogImage> => {
  const { catalog, findInCatalog } = await import("#images/catalog.ts")
  const image = findInCatalog(word)
  if (image !== undefined) return image
  const names = catalog.map(({ name }) => name).join(", ")
  throw new Failure(2, `there is no image ${word} (there are: ${names})`, `${program} image list`)
}

/** Returns once the daemon lists the image in this state; with undefined, no more. */
const untilListed = async (daemon: DaemonRecord, id: string, state: string | undefined): Promise<void> => {
  const end = performance.now() + seenWithinMs
  for (;;) {
    const { images } = await readStatus(daemon.endpoint)
    if (images.find((image) => image.id === id)?.state === state) return
    if (performance.now() > end)
      throw new Failure(1, `the daemon has not seen the change of ${id} in ${seenWithinMs / 1000} s`, `${program} logs`)
    await delay(askEveryMs)
  }
}
