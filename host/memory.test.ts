import assert from "node:assert/strict"
import { test } from "node:test"
import { guestMemory, memoryOf } from "./memory.ts"

const on = (pid: number) => ({ kind: "guest", phase: "on", starts: 1, resets: 0, pid }) as const

test("a process has memory of its own and shared; one that is gone has none, and fails nobody", async () => {
  const own = await memoryOf(process.pid)
  assert.ok(own && own.pssBytes > 0 && own.pssBytes <= own.rssBytes)
  // As the kernel sums it up elsewhere; this process goes on allocating meanwhile.
  const ratio = own.rssBytes / process.memoryUsage.rss()
  assert.ok(ratio > 0.8 && ratio < 1.25, String(ratio))
  assert.equal(await memoryOf(2 ** 22 + 1), undefined)
  const { guests, templatesBytes } = await guestMemory(
    [
      { resource: "i-1", status: on(process.pid) },
      { resource: "i-2", status: on(2 ** 22 + 1) },
      { resource: "i-3", status: undefined },
    ],
    7,
  )
  assert.deepEqual([guests.map(({ guest }) => guest), templatesBytes], [["i-1"], 7])
})
