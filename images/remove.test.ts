import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { debianImage } from "./catalog.ts"
import { removeImage } from "./remove.ts"

const { id } = debianImage

async function homeWith(context: TestContext): Promise<{ home: string; facts: string }> {
  const home = await mkdtemp(join(tmpdir(), "fractus-remove-"))
  context.after(() => rm(home, { recursive: true, force: true }))
  await mkdir(join(home, "images", id), { recursive: true })
  await mkdir(join(home, "volumes"))
  for (const name of ["disk.qcow2", "image.json"]) await writeFile(join(home, "images", id, name), "")
  return { home, facts: join(home, "images", id, "image.json") }
}

test("what stands on an image keeps it there, whole", async (context) => {
  const { home, facts } = await homeWith(context)
  const record = join(home, "volumes", "vol-0a.json")
  await writeFile(record, `{"sizeBytes":1,"image":"${id}"}`)
  const users = await removeImage(home, id, async () => {
    assert.ok(!existsSync(facts), "nothing new may begin on it while its users are looked for")
    return ["i-0b"]
  })
  assert.deepEqual(users, { instances: ["i-0b"], volumes: ["vol-0a"] })
  assert.ok(existsSync(facts))
  await rm(record)
  assert.deepEqual(await removeImage(home, id, async () => ["i-0b"]), { instances: ["i-0b"], volumes: [] })
  assert.ok(existsSync(facts))
})

test("an image that nothing stands on goes with what was made ready of it", async (context) => {
  const { home } = await homeWith(context)
  await writeFile(join(home, "volumes", "vol-0a.json"), '{"sizeBytes":1,"image":"ami-1"}')
  await writeFile(join(home, "volumes", `.template-1024-${id}`), "")
  await writeFile(join(home, "volumes", ".template-1024-ami-1"), "")
  assert.deepEqual(await removeImage(home, id, async () => []), { instances: [], volumes: [] })
  assert.deepEqual(await readdir(join(home, "images")), [])
  assert.deepEqual((await readdir(join(home, "volumes"))).toSorted(), [".template-1024-ami-1", "vol-0a.json"])
  assert.equal(await removeImage(home, id, async () => []), undefined)
})

test("an image stays whole when its users cannot be found out, and one left half removed can be removed", async (context) => {
  const { home, facts } = await homeWith(context)
  const cut = removeImage(home, id, async () => {
    throw new Error("the daemon is gone")
  })
  await assert.rejects(cut, /the daemon is gone/)
  assert.ok(existsSync(facts))
  await rename(facts, join(home, "images", id, "withdrawn.json"))
  assert.deepEqual(await removeImage(home, id, async () => ["i-0b"]), { instances: ["i-0b"], volumes: [] })
  assert.ok(existsSync(facts))
})
