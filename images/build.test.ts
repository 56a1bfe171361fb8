import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { buildImage } from "./build.ts"
import { catalog, imageIdOf, microImage } from "./catalog.ts"
import { ImageError } from "./command.ts"
import { debianRecipe } from "./debian/recipe.ts"
import { readImage } from "./image-folder.ts"
import { archive } from "./initrd.ts"
import { microRecipe } from "./micro/recipe.ts"
import { indexOptions } from "./package-index.ts"
import { downloadPackages } from "./packages.ts"
import { publishFolder } from "./publish.ts"
import { recipeHash } from "./recipe-hash.ts"

async function temporary(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-images-"))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test("ids follow from names, look like AWS's and differ", () => {
  assert.equal(imageIdOf("fractus-micro-1.6-x86_64"), "ami-ad8f48829d5c79b13")
  for (const image of catalog) assert.match(image.id, /^ami-[0-9a-f]{17}$/)
  assert.equal(new Set(catalog.map(({ id }) => id)).size, catalog.length)
  assert.equal(microImage.sizeBytes % 1024 ** 3, 0)
})

test("the recipe's hash stands still, and moves with what the recipe says", async () => {
  const hash = await recipeHash(microRecipe)
  assert.equal(await recipeHash({ ...microRecipe }), hash)
  assert.notEqual(await recipeHash({ ...microRecipe, commandLine: "quiet" }), hash)
  assert.notEqual(await recipeHash({ ...microRecipe, withoutPackages: /^x$/ }), hash)
})

test("the archive is one that cpio reads, with modes and content", async (context) => {
  const folder = await temporary(context)
  const bytes = archive([
    { path: "bin", mode: 0o040755 },
    { path: "bin/odd", mode: 0o100755, content: Buffer.from("12345") },
    { path: "empty", mode: 0o100644 },
  ])
  const listed = execFileSync("cpio", ["-itv", "--quiet"], { input: bytes, encoding: "utf8" })
  assert.match(listed, /^drwxr-xr-x.* bin\n-rwxr-xr-x.* 5 .* bin\/odd\n-rw-r--r--.* 0 .* empty\n$/)
  execFileSync("cpio", ["-idm", "--quiet"], { input: bytes, cwd: folder })
  assert.equal(await readFile(join(folder, "bin/odd"), "utf8"), "12345")
})

test("packages that cannot be had are named", async (context) => {
  const cache = await temporary(context)
  await mkdir(join(cache, "packages"))
  const item = {
    name: "fractus-no-such-package",
    version: "1",
    file: "fractus-no-such-package_1_amd64.deb",
    sizeBytes: 1,
    digest: "",
  }
  await assert.rejects(
    downloadPackages([item], cache, () => {}),
    (error) => error instanceof ImageError && error.code === "no-network" && error.message.includes(item.file),
  )
  assert.deepEqual(await readdir(join(cache, "packages")), [])
})

test("a folder appears whole or not at all; the first of two wins; old remains are swept", async (context) => {
  const parent = await temporary(context)
  const folder = join(parent, "x")
  const isWhole = async (path: string): Promise<boolean> => existsSync(join(path, "done"))
  await mkdir(join(parent, ".building-old"))
  await utimes(join(parent, ".building-old"), 0, 0)
  const failing = publishFolder(folder, isWhole, systemClock(), async (work) => {
    await writeFile(join(work, "half"), "")
    throw new Error("no more")
  })
  await assert.rejects(failing, /no more/)
  assert.deepEqual(await readdir(parent), [])
  await mkdir(folder)
  await writeFile(join(folder, "half"), "")
  const one = publishFolder(folder, isWhole, systemClock(), (work) => writeFile(join(work, "done"), "same"))
  const two = publishFolder(folder, isWhole, systemClock(), (work) => writeFile(join(work, "done"), "same"))
  await Promise.all([one, two])
  assert.deepEqual(await readdir(parent), ["x"])
  assert.deepEqual(await readdir(folder), ["done"])
})

test("a damaged image in a home is not replaced under its volumes", async (context) => {
  const home = await temporary(context)
  const folder = join(home, imageIdOf(microRecipe.name))
  await mkdir(folder)
  await writeFile(join(folder, "disk.qcow2"), "bytes that volumes stand on")
  await assert.rejects(buildImage(microRecipe, { directory: home }), /is damaged/)
  assert.deepEqual(await readdir(folder), ["disk.qcow2"])
})

test("a release that the machine is not has an index of its own, and keys that must be there", async (context) => {
  const cache = await temporary(context)
  assert.deepEqual(await indexOptions(microRecipe, cache, 0), [])
  const other = { ...debianRecipe, release: { ...debianRecipe.release, version: /^99[.]/ } }
  const keyring = { package: "some-keyring", path: "/nowhere/some.gpg" }
  await assert.rejects(indexOptions({ ...other, keyring }, cache, 0), /^ImageError: some-keyring is not installed$/)
  await mkdir(join(cache, "packages", "index-bookworm", "partial"), { recursive: true })
  const options = await indexOptions(other, cache, Date.now())
  assert.ok(options.includes(`Dir::State::lists=${join(cache, "packages", "index-bookworm")}`), options.join(" "))
})

test("an image that starts by firmware is whole without a kernel beside it", async (context) => {
  const folder = await temporary(context)
  const words = [
    "id",
    "name",
    "description",
    "architecture",
    "rootDeviceName",
    "commandLine",
    "loginUser",
    "recipeHash",
  ]
  const facts = { ...Object.fromEntries(words.map((word) => [word, ""])), sizeBytes: 1, createdMs: 1, packages: {} }
  await writeFile(join(folder, "disk.qcow2"), "")
  for (const [bootKind, whole] of [
    ["firmware", true],
    ["kernel", false],
    ["other", false],
  ] as const) {
    await writeFile(join(folder, "image.json"), JSON.stringify({ ...facts, bootKind }))
    assert.equal((await readImage(folder)) !== undefined, whole, bootKind)
  }
})

test("a folder without all of its files, or with broken facts, is no image", async (context) => {
  const folder = await temporary(context)
  assert.equal(await readImage(folder), undefined)
  for (const name of ["disk.qcow2", "vmlinuz", "initrd"]) await writeFile(join(folder, name), "")
  for (const text of ["{}", "null", "{"]) {
    await writeFile(join(folder, "image.json"), text)
    assert.equal(await readImage(folder), undefined, text)
  }
})
