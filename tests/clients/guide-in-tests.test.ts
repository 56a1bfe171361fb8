/** docs/guide/in-tests.md: its blocks of shell, JavaScript and Python run as they stand there, on simulated clouds. */
import assert from "node:assert/strict"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { textOf } from "../rig/markdown.ts"
import { root } from "../style/tree.ts"
import { awsKnowsEndpoint, bash, scratch } from "../vm/shell.ts"

const guide = "docs/guide/in-tests.md"
const here = (text: string) => text.replaceAll("./fractus", join(root, "fractus"))

test("the guide's first lines launch an instance in a throwaway cloud", async (t) => {
  const place = await scratch(t)
  const lines = textOf(guide, "sh", "In your tests")
  const { status, stdout, stderr } = await bash(
    `set -eu\n${here(awsKnowsEndpoint() ? lines : lines.replaceAll(/(^|\()aws /gm, "$1./fractus aws "))}`,
    place,
  )
  assert.equal(status, 0, stderr)
  assert.equal(stdout, "running\n")
})

test("the guide's JavaScript is a test that passes in a project that links Fractus", async (t) => {
  const place = await scratch(t)
  mkdirSync(join(place.directory, "node_modules"))
  symlinkSync(root, join(place.directory, "node_modules", "fractus"))
  symlinkSync(join(root, "node_modules", "@aws-sdk"), join(place.directory, "node_modules", "@aws-sdk"))
  writeFileSync(join(place.directory, "mine.test.mjs"), textOf(guide, "js"))
  const { status, stdout } = await bash(`exec ${process.execPath} --test mine.test.mjs`, place)
  assert.equal(status, 0, stdout)
  assert.match(stdout, /pass 1\n/)
})

test("the guide's Python holds a cloud as long as it wants one", async (t) => {
  const place = await scratch(t)
  writeFileSync(join(place.directory, "mine.py"), here(textOf(guide, "python")))
  const { status, stdout, stderr } = await bash("exec python3 mine.py", place)
  assert.equal(status, 0, stderr)
  assert.equal(stdout, "running\n0\n")
})

test("the guide's cloud that stays is settled, emptied and taken down", async (t) => {
  const place = await scratch(t)
  const lines = here(textOf(guide, "sh", "One that stays"))
    .replaceAll("4600", String(place.port))
    .replaceAll("./cloud", place.home)
  const { status, stdout, stderr } = await bash(`set -eu\n${lines}`, place)
  assert.equal(status, 0, stderr)
  assert.match(stdout, /"settled":true/)
  assert.match(stdout, /"reset":true/)
})
