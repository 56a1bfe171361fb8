/** `node docs/reference/generate.ts` writes the generated pages of this folder; with `--check` it fails where one is not up to date. */
import { readFileSync, writeFileSync } from "node:fs"
import { configuration } from "./configuration.ts"
import { coverage } from "./coverage.ts"
import { errorCodes } from "./errors.ts"

const pages = { ...(await coverage()), ...errorCodes(), ...(await configuration()) }
const pathOf = (name: string) => new URL(name, import.meta.url)
const textOf = (name: string) => {
  try {
    return readFileSync(pathOf(name), "utf8")
  } catch {
    return ""
  }
}
const stale = Object.entries(pages).filter(([name, text]) => textOf(name) !== text)
if (process.argv.includes("--check")) {
  for (const [name] of stale) console.error(`docs/reference/${name} is not up to date: node docs/reference/generate.ts`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else for (const [name, text] of stale) writeFileSync(pathOf(name), text)
