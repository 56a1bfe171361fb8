/**
 * The lines of docs/guide/lamp.md, run as they stand there, with three real guests. Installing the packages takes an emulated guest ten
 * minutes and more, so they are in the image already: the guests' apt finds nothing left to fetch.
 */
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { buildImage } from "#images/build.ts"
import { root } from "../style/tree.ts"
import { lampImageId, lampRecipe } from "./lamp-image.ts"
import { awsKnowsEndpoint, bash, scratch } from "./shell.ts"

const guide = readFileSync(join(root, "docs/guide/lamp.md"), "utf8")
const limitMs = 1_800_000

const blocks = (language: string): readonly string[] =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map((match) => match[1] ?? "")

/** Without sources, apt asks no mirror; it still installs what the user-data names, and finds it there. */
const withoutMirror = (userData: string): string => {
  const first = "#cloud-config\n"
  assert.ok(userData.startsWith(first))
  return `${first}bootcmd: [[rm, -f, /etc/apt/sources.list.d/debian.sources]]\n${userData.slice(first.length)}`
}

test("three customers' sites answer at their public addresses, and none at another's private one", async (t) => {
  const place = await scratch(t)
  const [userData = ""] = blocks("yaml")
  const packages = /^packages: \[(.*)\]$/m.exec(userData)?.[1]?.split(", ") ?? []
  assert.equal(packages.length, 4)
  const started = performance.now()
  const since = () => `${Math.round((performance.now() - started) / 1000)} s`
  await buildImage(lampRecipe(packages), { directory: join(place.home, "images") })
  t.diagnostic(`image after ${since()}`)
  writeFileSync(join(place.directory, "site.yaml"), withoutMirror(userData))

  const lines = `./fractus up --yes --no-profile --port ${place.port}\n${blocks("sh").join("\necho ---\n")}`
  const script = (awsKnowsEndpoint() ? lines : lines.replaceAll(/(^\s*|\$\()aws /gm, "$1./fractus aws ")).replaceAll(
    "./fractus",
    join(root, "fractus"),
  )
  const { status, stdout, stderr } = await bash(`set -euo pipefail\n${script}`, place, {}, limitMs)
  t.diagnostic(`all done after ${since()}`)
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  const [launched = "", welcomes, changed, isolated, allowed, ended] = stdout.split("---\n")
  assert.match(launched, new RegExp(lampImageId))
  assert.equal(launched.match(/^i-[0-9a-f]{17}$/gm)?.length, 3, launched)
  assert.equal(welcomes, "Welcome to alder\nWelcome to birch\nWelcome to cedar\n")
  assert.equal(changed, "Welcome to birch &amp; daughters\n")
  const pairs = ["alder", "birch", "cedar"].flatMap((from, _, all) =>
    all.filter((to) => to !== from).map((to) => `${from} does not reach ${to}\n`),
  )
  assert.equal(isolated, pairs.join(""))
  // The same request, once the group allows it: it was the group that kept it out.
  assert.match(allowed ?? "", /Welcome to birch &amp; daughters\n$/)
  assert.match(ended ?? "", /^(shutting-down\s*){3}$/)
})
