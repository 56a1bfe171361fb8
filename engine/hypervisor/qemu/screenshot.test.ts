import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { test, type TestContext } from "node:test"
import { pictureLimitBytes } from "../types.ts"
import { takePictures } from "./screenshot.ts"

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), "fr-display-"))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(path.join(directory, "sockets"))
  return directory
}

/** A QEMU that answers `screendump` by what `put` does with the file's path. */
const dumping = (directory: string, put: (file: string) => void) => ({
  async query(command: string, args?: object) {
    const filename = args && "filename" in args ? String(args.filename) : ""
    if (command === "screendump") put(path.join(directory, "sockets", filename))
  },
})

test("what a hostile process puts in the picture's place is not followed, waited for or read whole", async (t) => {
  const directory = directoryFor(t)
  const secret = path.join(directory, "secret")
  writeFileSync(secret, "of the host")
  const puts: readonly ((file: string) => void)[] = [
    (file) => symlinkSync(secret, file),
    (file) => symlinkSync("/dev/zero", file),
    (file) => mkdirSync(file),
    (file) => execFileSync("mkfifo", [file]),
    (file) => (writeFileSync(file, ""), truncateSync(file, pictureLimitBytes + 1)),
    () => {},
  ]
  for (const put of puts) {
    const pictures = takePictures()
    await assert.rejects(pictures.take("i-1", dumping(directory, put), directory, false))
    assert.ok(!existsSync(path.join(directory, "sockets", "display-now.ppm")), "nothing is left")
  }
})

test("of one machine a picture is taken once at a time, of many only a few", async (t) => {
  const directory = directoryFor(t)
  let dumps = 0
  const machine = dumping(directory, (file) => {
    dumps++
    writeFileSync(file, "picture")
  })
  const pictures = takePictures()
  const [one, two] = await Promise.all([1, 2].map(() => pictures.take("i-1", machine, directory, false)))
  assert.deepEqual([String(one), one === two, dumps], ["picture", true, 1])
  const stuck = { query: () => new Promise<never>(() => {}) }
  for (let each = 0; each < 4; each++) void pictures.take(`i-stuck-${each}`, stuck, directory, false)
  await assert.rejects(pictures.take("i-2", machine, directory, false), /being taken/)
})
