/** The README's lines, run as they stand there: from `up` to `down`, with a real guest in between, and nothing left behind. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { join } from "node:path"
import { textOf } from "../rig/markdown.ts"
import { root } from "../style/tree.ts"
import { awsKnowsEndpoint, bash, scratch } from "./shell.ts"
import { machineState } from "./leftovers.ts"

test("the README's lines launch a guest, look inside, survive kill -9 of the daemon and leave nothing", async (t) => {
  const place = await scratch(t)
  const before = machineState()
  const lines = textOf("README.md", "sh", "Ten minutes")
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
