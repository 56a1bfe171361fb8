/** debian-12 with a web server, PHP and a database in it: what user-data installs from a mirror elsewhere is there already. */
import { imageIdOf } from "#images/catalog.ts"
import { debianRecipe } from "#images/debian/recipe.ts"
import type { DistributionRecipe } from "#images/recipe.ts"

const name = "debian-12-lamp-1.0-x86_64"

/** The packages are those that docs/guide/lamp.md has its guests install. */
export const lampRecipe = (packages: readonly string[]): DistributionRecipe => ({
  ...debianRecipe,
  name,
  description: "Debian 12 with Apache, PHP and MariaDB",
  packages: [...debianRecipe.packages, ...packages],
})

export const lampImageId = imageIdOf(name)
