/** The repository's own files, as git knows them. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Paths of all files that are tracked or about to be, relative to the root. */
export function files(pattern = "*"): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", pattern], {
    cwd: root,
    encoding: "utf8",
  })
  return listed.split("\n").filter((path) => path !== "" && existsSync(join(root, path)))
}

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}
