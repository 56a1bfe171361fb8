import assert from "node:assert/strict"
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { askFor, readAsked } from "./asked.ts"
import { debianImage, findInCatalog, microImage } from "./catalog.ts"

test("an image is asked for as long as its builder lives and has not ended", async (context) => {
  const home = await mkdtemp(join(tmpdir(), "fractus-asked-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  const directory = join(home, "images")
  assert.deepEqual(await readAsked(directory), [])
  const built = await askFor(directory, debianImage.id, 1_700_000_000_000)
  assert.deepEqual(await readAsked(directory), [{ ...debianImage, askedMs: 1_700_000_000_000 }])
  const [name] = await readdir(directory)
  const path = join(directory, name ?? "")
  const text = await readFile(path, "utf8")
  for (const remains of [
    text.replace(/"pid":\d+/, '"pid":4194305'),
    text.replace(/"startTime":\d/, '"startTime":9'),
    "",
  ]) {
    await writeFile(path, remains)
    assert.deepEqual(await readAsked(directory), [], remains)
  }
  await writeFile(path, text)
  assert.equal((await readAsked(directory)).length, 1)
  await built()
  assert.deepEqual(await readdir(directory), [])
})

test("an image is called by its id, its name, or its name without the version", () => {
  assert.equal(findInCatalog("debian-12"), debianImage)
  assert.equal(findInCatalog(debianImage.id), debianImage)
  assert.equal(findInCatalog(microImage.name), microImage)
  assert.equal(findInCatalog("fractus-micro"), microImage)
  for (const word of ["debian", "debian-1", "", "ami-0"]) assert.equal(findInCatalog(word), undefined, word)
})
