/** A build in the background that comes to nothing. Needs root. */
import assert from "node:assert/strict"
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as pause } from "node:timers/promises"
import { readFailure } from "#images/asked.ts"
import { debianImage } from "#images/catalog.ts"
import { homeFiles } from "../home.ts"
import { inRepository } from "../repository.ts"
import { backgroundBuild, startBackgroundBuild, stopBackgroundBuild } from "./background.ts"
import { imagesOf } from "./list.ts"

const main = inRepository("cli/images/fixture/small.ts")
const { id } = debianImage

test("without room for it nothing is begun, and the home says why and what mends it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "fractus-background-"))
  const [home, cache] = [join(folder, "home"), join(folder, "cache")]
  t.after(async () => {
    await stopBackgroundBuild(home, cache)
    await rm(folder, { recursive: true, force: true })
  })
  for (const place of [home, cache]) await mkdir(place)
  await startBackgroundBuild(home, main, [cache, String(2 ** 50)])
  const end = performance.now() + 60_000
  while (readFailure(homeFiles(home).images, id) === undefined || backgroundBuild(home) !== undefined) {
    assert.ok(performance.now() < end, "no failure was kept")
    await pause(50)
  }
  const [row] = await imagesOf(home, undefined)
  assert.equal(row?.state, "failed")
  assert.match(row?.reason ?? "", /GB free; building this image needs 1048581\.0 GB$/)
  assert.match(row?.mend?.join("; ") ?? "", /^df -h .*; .*image build debian-12/)
  assert.deepEqual(await readdir(cache), [])
})
