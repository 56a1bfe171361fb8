import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The folder that holds package.json and `fractus`. */
export const repository = dirname(dirname(fileURLToPath(import.meta.url)))

/** A path inside the repository. */
export const inRepository = (...parts: string[]): string => join(repository, ...parts)
