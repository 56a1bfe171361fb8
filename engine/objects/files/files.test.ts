import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { objectsConformance } from "../conformance.ts"
import { openFiles } from "./open.ts"

const made: string[] = []
const folder = () => {
  const directory = mkdtempSync(join(tmpdir(), "fractus-objects-"))
  made.push(directory)
  return directory
}
after(() => made.forEach((directory) => rmSync(directory, { recursive: true, force: true })))

objectsConformance("files", () => openFiles({ directory: folder() }))

const filesIn = (directory: string) =>
  readdirSync(join(directory, "blobs"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length

test("files: objects are there when it is opened again, and what was never made an object is not", async () => {
  const directory = folder()
  const first = await openFiles({ directory })
  async function* bytes() {
    yield Buffer.from("kept")
  }
  const blob = await first.write(bytes(), 10)
  const object = await first.put({ space: "s", name: "k", blobs: [blob], meta: { a: 1 }, atMs: 1 })
  // As if the process had ended between the upload and the object.
  await first.write(bytes(), 10)
  assert.equal(filesIn(directory), 2)
  await first.close()
  const again = await openFiles({ directory })
  assert.deepEqual(await again.get("s", "k"), object)
  assert.equal(filesIn(directory), 1)
  await again.remove("s", ["k"])
  assert.equal(filesIn(directory), 0)
  await again.close()
})
