import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { resource } from "../conformance/subject.ts"
import { ConflictError } from "../types.ts"
import { openSqliteStore } from "./open.ts"

test("the revision is another one after every change and unknown while one is written", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "fractus-store-"))
  const store = await openSqliteStore({ directory })
  t.after(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  const revision = () => store.revision?.()
  const seen = [revision()]
  const change = async (work: Promise<unknown>): Promise<void> => {
    assert.equal(revision(), undefined)
    await work
    assert.ok(!seen.includes(revision()))
    seen.push(revision())
  }
  await change(store.commit({ put: [resource("i-1")] }))
  await change(assert.rejects(store.commit({ put: [resource("i-1")], expect: [["i-1", 5]] }), ConflictError))
  await change(store.reset())
  await change(Promise.all([store.commit({ put: [resource("i-2")] }), store.commit({ put: [resource("i-3")] })]))
  await store.query({ kind: "instance", accounts: [], regions: [], limit: 5 })
  await store.getMany(["i-2"])
  assert.equal(revision(), seen.at(-1), "reads change nothing")
  assert.equal(seen.filter((each) => each === undefined).length, 0)
})
