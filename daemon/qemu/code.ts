/** Where a child sees the code and its Node: a clone in a closed folder is run from the home, which may be in one too. */
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

/**
 * Of every child, as of the daemon (cli/daemon/command.ts): young objects die at once; room for more of them is never given back, and
 * collecting so few in several threads costs more than it saves.
 */
export const youngObjects = ["--max-semi-space-size=4", "--no-parallel-scavenge"]

/** In the environment of every child: the C library would keep a heap for each of Node's helping threads, and in each what was freed. */
export const fewHeaps = { MALLOC_ARENA_MAX: "2" }

/** The folder that all our code is in. */
export const tree = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Paths of the tree as they are for a child that sees it at `place`. */
export const codeAt =
  (place: string) =>
  (path: string): string =>
    path.startsWith(`${tree}/`) ? join(place, relative(tree, path)) : path

export const isInside = (folder: string) => tree.startsWith(`${folder}/`)
