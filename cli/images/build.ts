/** Builds an image of the catalog into a home: looks for room, brings the packages that building takes, says how far it is. */
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { askFor, type Asked, decline, keepFailure, readAsked } from "#images/asked.ts"
import { buildImage, defaultCacheDirectory, isCached } from "#images/build.ts"
import type { CatalogImage } from "#images/catalog.ts"
import { readImage } from "#images/image-folder.ts"
import type { ImageRecipe } from "#images/recipe.ts"
import { recipes } from "#images/recipes.ts"
import { Failure, messageOf, program } from "../failure.ts"
import { freeBytes, homeFiles, homeWords } from "../home.ts"
import { aptInstall, aptPlan } from "../packages/apt.ts"
import { distributionNeeds, missingPackages } from "../packages/needs.ts"
import { leastFreeBytes } from "../up/prepare.ts"

export type Progress = (step: string, fraction: number) => void
export type BuildPlaces = { home: string; cacheDirectory?: string }

const followEveryMs = 250

/**
 * Returns when the image is in the home. While another process builds it into this home, that one is followed. Why it failed is a Failure,
 * and is kept in the home until it succeeds. The recipe is the catalog's unless a test gives its own.
 */
export const buildInto = async (
  places: BuildPlaces,
  image: CatalogImage,
  onProgress: Progress,
  recipe = recipeOf(image),
): Promise<void> => {
  const directory = homeFiles(places.home).images
  const asked = await askedOrDone(directory, image, onProgress)
  if (asked === undefined) return
  const tell: Progress = (step, fraction) => {
    asked.report(fraction, step)
    onProgress(step, fraction)
  }
  try {
    keepFailure(directory, image.id, undefined)
    await build(places, recipe, tell)
    decline(directory, image.id, false)
  } catch (error) {
    const failure = explained(error, `sudo ${program} image build ${image.name}${homeWords(places.home)}`)
    keepFailure(directory, image.id, { message: failure.message, mend: failure.mend, failedMs: Date.now() })
    throw failure
  } finally {
    asked.end()
  }
}

/** Undefined when another process has built it meanwhile. */
const askedOrDone = async (directory: string, { id }: CatalogImage, tell: Progress): Promise<Asked | undefined> => {
  for (;;) {
    const mine = askFor(directory, id, Date.now())
    if (mine !== undefined) return mine
    const other = readAsked(directory).find((image) => image.id === id)
    if (other !== undefined) tell(`${other.step} (process ${other.builder.pid})`, other.fraction)
    await pause(followEveryMs)
    if ((await readImage(join(directory, id))) !== undefined) return undefined
  }
}

const recipeOf = ({ name }: CatalogImage): ImageRecipe => {
  const recipe = recipes.find((candidate) => candidate.name === name)
  if (recipe !== undefined) return recipe
  throw new Failure(2, `there is no recipe of ${name}`, `${program} image list`)
}

const build = async ({ home, cacheDirectory }: BuildPlaces, recipe: ImageRecipe, tell: Progress): Promise<void> => {
  if (!(await isCached(recipe, cacheDirectory))) {
    for (const place of [home, cacheDirectory ?? defaultCacheDirectory]) checkRoom(place, recipe.sizeBytes)
    if (recipe.kind === "distribution") await bringPackages(tell)
  }
  await buildImage(recipe, {
    directory: homeFiles(home).images,
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
    onProgress: ({ message, fraction }) => tell(message, fraction),
  })
}

/** A build needs the image's whole size beside what is always left free: the unpacked system and the disk that is made of it. */
export const checkRoom = (place: string, sizeBytes: number, free = freeBytes(place)): void => {
  const needed = leastFreeBytes + sizeBytes
  if (free >= needed) return
  const inGB = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1)
  throw new Failure(
    3,
    `${place} has ${inGB(free)} GB free; building this image needs ${inGB(needed)} GB`,
    `df -h ${place}`,
  )
}

const bringPackages = async (tell: Progress): Promise<void> => {
  const missing = missingPackages(distributionNeeds)
  if (missing.length === 0) return
  const step = `installing ${missing.join(" ")}`
  tell(step, 0)
  await aptPlan(missing, () => tell(step, 0))
  await aptInstall(missing, () => tell(step, 0), true)
}

const explained = (error: unknown, again: string): Failure => {
  if (error instanceof Failure) return new Failure(error.exitCode, error.message, [...error.mend, again])
  const text = messageOf(error)
  const [, missing] = /^(\S+) is not installed$/.exec(text) ?? []
  const first = missing === undefined ? "sudo apt-get update" : `sudo apt-get install ${missing}`
  return new Failure(missing === undefined ? 1 : 3, `the machine image could not be built: ${text}`, [first, again])
}
