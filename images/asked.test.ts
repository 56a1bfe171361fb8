import assert from "node:assert/strict"
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import { askFor, decline, keepFailure, readAsked, readFailure, wanted } from "./asked.ts"
import { debianImage, findInCatalog, microImage } from "./catalog.ts"

async function imagesFolder(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "fractus-asked-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  return join(home, "images")
}

test("an image is asked for, by one at a time, as long as its builder lives and has not ended", async (context) => {
  const directory = await imagesFolder(context)
  assert.deepEqual(readAsked(directory), [])
  const asked = askFor(directory, debianImage.id, 1_700_000_000_000)
  assert.ok(asked)
  assert.equal(askFor(directory, debianImage.id, 1_800_000_000_000), undefined)
  const [now] = readAsked(directory)
  assert.equal(now?.builder.pid, process.pid)
  assert.deepEqual(
    { ...now, builder: 0 },
    { ...debianImage, askedMs: 1.7e12, fraction: 0, step: "beginning", builder: 0 },
  )
  asked.report(0.456, "installing")
  assert.deepEqual(
    readAsked(directory).map(({ fraction, step, askedMs }) => ({ fraction, step, askedMs })),
    [{ fraction: 0.456, step: "installing", askedMs: 1.7e12 }],
  )
  const [name] = await readdir(directory)
  const path = join(directory, name ?? "")
  const text = await readFile(path, "utf8")
  for (const remains of [
    text.replace(/"pid":\d+/, '"pid":4194305'),
    text.replace('"startTime":', '"startTime":1'),
    "",
  ]) {
    await writeFile(path, remains)
    assert.deepEqual(readAsked(directory), [], remains)
  }
  await writeFile(path, text)
  assert.equal(readAsked(directory).length, 1)
  asked.end()
  assert.deepEqual(await readdir(directory), [])
})

test("a failure is kept until it is taken back; an image that was removed is not wanted any more", async (context) => {
  const directory = await imagesFolder(context)
  await mkdir(directory)
  const failure = { message: "no room", mend: ["df -h"], failedMs: 5 }
  keepFailure(directory, debianImage.id, failure)
  assert.deepEqual(readFailure(directory, debianImage.id), failure)
  assert.equal(readFailure(directory, microImage.id), undefined)
  keepFailure(directory, debianImage.id, undefined)
  assert.equal(readFailure(directory, debianImage.id), undefined)
  assert.deepEqual(wanted(directory), [debianImage])
  decline(directory, debianImage.id, true)
  assert.deepEqual(wanted(directory), [])
  decline(directory, debianImage.id, false)
  assert.deepEqual(wanted(directory), [debianImage])
  assert.deepEqual(await readdir(directory), [])
})

test("an image is called by its id, its name, or its name without the version", () => {
  assert.equal(findInCatalog("debian-12"), debianImage)
  assert.equal(findInCatalog(debianImage.id), debianImage)
  assert.equal(findInCatalog(microImage.name), microImage)
  assert.equal(findInCatalog("fractus-micro"), microImage)
  for (const word of ["debian", "debian-1", "", "ami-0"]) assert.equal(findInCatalog(word), undefined, word)
})
