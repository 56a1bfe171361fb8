/** What the background's process does: the images that a home still lacks, one after the other. */
import { readdirSync } from "node:fs"
import { constants, setPriority } from "node:os"
import { takeClaim } from "#lib/claim.ts"
import type { ImageRecipe } from "#images/recipe.ts"
import { messageOf } from "../failure.ts"
import { homeFiles } from "../home.ts"
import { imagesToCome } from "./background.ts"
import { type BuildPlaces, buildInto } from "./build.ts"

/** From here on whatever else wants a processor has it first; not before, because `up` waits for the beginning. Children inherit it. */
const giveWay = (): void => {
  for (const thread of readdirSync("/proc/self/task")) setPriority(Number(thread), constants.priority.PRIORITY_LOW)
}

/**
 * Builds what is to come into the home, unless another process does or nobody serves it any more: `down` first ends the daemon, then whoever
 * has the claim, so that nobody begins behind its back. Failures are kept in the home. `recipe` is for tests.
 */
export const buildWhatLacks = async (
  places: BuildPlaces,
  serves: () => boolean,
  say: (text: string) => void,
  recipe?: ImageRecipe,
): Promise<void> => {
  const claim = takeClaim(homeFiles(places.home).imageBuild)
  if (claim === undefined) return
  try {
    for (const image of serves() ? imagesToCome(places.home) : []) {
      say(`building ${image.name}, ${image.id}`)
      let last = ""
      const tell = (step: string): void => {
        if (last === "") giveWay()
        if (step !== last) say(step)
        last = step
      }
      await buildInto(places, image, tell, recipe).then(
        () => say(`${image.name} is there`),
        (error: unknown) => say(`${image.name}: ${messageOf(error)}`),
      )
    }
  } finally {
    claim.release()
  }
}
