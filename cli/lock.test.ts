import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { withLock } from "./lock.ts"

const folderOf = (context: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-lock-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test("a lock of a process that is gone does not block, one that is held is waited for", async (context) => {
  const folder = folderOf(context)
  const path = join(folder, "lock")
  writeFileSync(path, JSON.stringify({ pid: process.pid, startTime: 1 })) // our pid, another start time: that process is gone
  const waited: number[] = []
  const content = await withLock(
    path,
    async () => readFileSync(path, "utf8"),
    (pid) => waited.push(pid),
  )
  assert.match(content, new RegExp(`^{"pid":${process.pid},"startTime":\\d{2,}}\n$`))
  assert.deepEqual(waited, [])
  let second: Promise<string[]> | undefined
  const order: string[] = []
  await withLock(
    path,
    async () => {
      await new Promise<void>((resolve) => {
        second = withLock(
          path,
          async () => [...order, "second"],
          () => resolve(),
        )
      })
      order.push("first")
    },
    () => undefined,
  )
  assert.deepEqual(await second, ["first", "second"])
  assert.deepEqual(readdirSync(folder), [])
})

test("a failure inside frees the lock", async (context) => {
  const folder = folderOf(context)
  await assert.rejects(
    withLock(
      join(folder, "lock"),
      async () => Promise.reject(new Error("inside")),
      () => undefined,
    ),
    /inside/,
  )
  assert.deepEqual(readdirSync(folder), [])
})
