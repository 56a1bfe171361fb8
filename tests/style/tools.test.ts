/** Types, lint and format: what `npm run check` runs, so that `./fractus test` fails on them too. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { test } from "node:test"
import { root } from "./tree.ts"

function run(tool: string, ...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", tool), args, {
    cwd: root,
    encoding: "utf8",
    timeout: 120_000,
  })
  assert.equal(status, 0, `${tool} ${args.join(" ")}\n${stdout}${stderr}`)
}

test("the types hold", () => run("tsc", "--noEmit"))
test("the lint finds nothing", () => run("oxlint", "--type-aware", "--deny-warnings"))
test("the format is oxfmt's", () => run("oxfmt", "--check", "."))
