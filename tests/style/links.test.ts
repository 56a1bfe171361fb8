/** Documents point to files that are there. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { test } from "node:test"
import { files, read, root } from "./tree.ts"

interface Link {
  readonly from: string
  readonly to: string
}

const links = files("*.md").flatMap((from) =>
  [...read(from).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = ""]): Link => ({ from, to })),
)

test("every link and picture of a document inside the repository leads somewhere", () => {
  const local = links.filter(({ to }) => !/^[a-z]+:|^#/.test(to))
  const broken = local.filter(({ from, to }) => !existsSync(join(root, dirname(from), to.replace(/#.*$/, ""))))
  assert.deepEqual(broken, [])
  assert.ok(local.length > 20, "the check sees links at all")
})
