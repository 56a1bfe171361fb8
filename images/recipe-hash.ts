import { createHash } from "node:crypto"
import { readFile, readdir } from "node:fs/promises"
import { join, relative } from "node:path"
import type { ImageRecipe } from "./recipe.ts"

/** Beside the code that builds, and without a say in what comes out. */
const bystanders = /^(asked|catalog|recipes|remove)\.ts$|\.(test\.ts|md)$/

/**
 * Name of an image in the cache: over the recipe, its files and the code that builds. Versions of packages are not in it: they are
 * recorded in image.json, and an image does not change because a distribution did.
 */
export async function recipeHash(recipe: ImageRecipe): Promise<string> {
  const hash = createHash("sha256")
  const { folder: _, ...content } = recipe
  hash.update(JSON.stringify(content, (_key, value: unknown) => (value instanceof RegExp ? String(value) : value)))
  const agent = recipe.kind === "programs" ? [join(import.meta.dirname, "agent")] : []
  for (const folder of [import.meta.dirname, ...agent, recipe.folder]) {
    for (const path of await sources(folder, folder === recipe.folder)) {
      hash.update(`\0${relative(folder, path)}\0`).update(await readFile(path))
    }
  }
  return hash.digest("hex").slice(0, 32)
}

async function sources(folder: string, deep: boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive: deep, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !bystanders.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}
