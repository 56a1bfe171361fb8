/** The repository's own files, as git knows them; where there is no git, or not its clone, all files but what is fetched or made. */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Paths of all files that are tracked or about to be, relative to the root. */
export function files(pattern = "*"): readonly string[] {
  const words = ["ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
  const { status, stdout } = spawnSync("git", words, { cwd: root, encoding: "utf8" })
  if (status !== 0) return withoutGit(pattern)
  return stdout.split("\n").filter((path) => path !== "" && existsSync(join(root, path)))
}

/** A `*` of git's patterns also matches folders. */
export function withoutGit(pattern: string): readonly string[] {
  const made = (name: string) =>
    ["node_modules", ".git", ".cache", "__pycache__"].includes(name) || name.endsWith(".log")
  const found = globSync([pattern, pattern.replace("*", "**/*")], { cwd: root, exclude: made })
  return [...new Set(found)].filter((path) => statSync(join(root, path)).isFile()).toSorted()
}

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}
