/** docs/guide/first-instance.md, every command as it stands there, with a real guest. Debian too with FRACTUS_TEST_DEBIAN=1 (some minutes). */
import assert from "node:assert/strict"
import { join } from "node:path"
import { test } from "node:test"
import { blocksOf } from "../rig/markdown.ts"
import { root } from "../style/tree.ts"
import { awsKnowsEndpoint, bash, scratch } from "./shell.ts"

const withDebian = process.env["FRACTUS_TEST_DEBIAN"] === "1"

test("a newcomer's first instance goes as its guide says", async (t) => {
  const place = await scratch(t)
  const wanted = withDebian ? ["sh", "sh debian"] : ["sh"]
  const lines = blocksOf("docs/guide/first-instance.md")
    .filter(({ language }) => wanted.includes(language))
    .map(({ text }) => text)
    .join("")
  // As the guide tells those whose CLI is older; `doctor` may find fault with a machine that is good enough.
  const script = (awsKnowsEndpoint() ? lines : lines.replaceAll(/(^\s*|\$\()aws /gm, "$1./fractus aws "))
    .replaceAll("./fractus up --yes", `./fractus up --yes --port ${place.port}`)
    .replaceAll(/^\.\/fractus doctor$/gm, "./fractus doctor || [ $? = 1 ]")
    .replaceAll("./fractus", join(root, "fractus"))
  const { status, stdout, stderr } = await bash(`set -eu\n${script}`, place, {}, withDebian ? 1_200_000 : undefined)
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  const [before = "", after = ""] = stdout.split("kept\n")
  assert.match(before, /"Account": "\d{12}"/)
  assert.match(before, /^i-[0-9a-f]{17}\tpending$/m)
  assert.match(before, /SSH HOST KEY FINGERPRINTS/)
  assert.match(before, /^made by user-data on \d[^\n]*\n1\n/m)
  assert.match(
    before,
    /^instance-id: i-[0-9a-f]{17}\ninstance-type: t2\.micro\nlocal-ipv4: 172\.31\.[^\n]*\npublic-ipv4: 198\./m,
  )
  assert.match(before, /^security-groups: default$/m)
  assert.match(before, /stage\ttest/)
  assert.match(before, /^stopping$/m)
  assert.match(after, /^2\n/)
  assert.match(after, /fractus-host/)
  assert.match(after, /vol-[0-9a-f]{17}\.qcow2/)
  assert.match(after, /RunInstances/)
  if (withDebian) assert.match(after, /status: done[^]*made by user-data[^]*Debian GNU\/Linux 12/)
  assert.match(after, /shutting-down/)
})
