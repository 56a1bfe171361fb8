/** All recipes: one for each image of the catalog. */
import { debianRecipe } from "./debian/recipe.ts"
import { microRecipe } from "./micro/recipe.ts"
import type { ImageRecipe } from "./recipe.ts"

export const recipes: readonly ImageRecipe[] = [microRecipe, debianRecipe]
