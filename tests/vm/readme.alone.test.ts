/** The README's lines, run as they stand there: from `up` to `down`, with a real guest in between, and nothing left behind. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "../style/tree.ts"
import { awsKnowsEndpoint, bash, scratch } from "./shell.ts"
import { machineState } from "./leftovers.ts"

/** The fenced block that follows a heading of the README. */
function linesUnder(heading: string): string {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  const found = new RegExp(`^## ${heading}\\n[\\s\\S]*?^\`\`\`sh\\n([\\s\\S]*?)^\`\`\``, "m").exec(readme)?.[1]
  assert.ok(found, `README.md has a block under "${heading}"`)
  return found
}

test("the README's lines launch a guest, look inside, survive kill -9 of the daemon and leave nothing", async (t) => {
  const place = await scratch(t)
  const before = machineState()
  const lines = linesUnder("Ten minutes")
  // As the README tells those whose CLI is older.
  const script = (awsKnowsEndpoint() ? lines : lines.replaceAll(/(^\s*|\$\()aws /gm, "$1./fractus aws "))
    .replaceAll("./fractus up --yes", `./fractus up --yes --port ${place.port}`)
    .replaceAll("./fractus", join(root, "fractus"))
  const { status, stdout, stderr } = await bash(`set -euxo pipefail\n${script}`, place)
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  for (const expected of [
    /user-data was here/,
    /^i-[0-9a-f]{17}$/m,
    /SSH HOST KEY FINGERPRINTS/,
    /still here/,
    /^running$/m,
    /shutting-down/,
  ])
    assert.match(stdout, expected, stderr)
  assert.deepEqual(machineState(), before)
})
