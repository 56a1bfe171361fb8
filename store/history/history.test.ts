import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { openHistory, type History, type HistoryOptions } from "./open.ts"

const nowMs = Date.parse("2026-11-21T12:00:00Z")

function historyTest(
  name: string,
  body: (open: (more?: Partial<HistoryOptions>) => Promise<History>, directory: string) => Promise<void>,
) {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "fractus-history-"))
    const opened: History[] = []
    try {
      await body(async (more) => {
        const history = await openHistory({ directory, clock: { cloudMs: () => nowMs }, ...more })
        opened.push(history)
        return history
      }, directory)
    } finally {
      for (const history of opened) await history.close()
      rmSync(directory, { recursive: true })
    }
  })
}

historyTest("reads a series in order of time, at once and after it is opened again", async (open, directory) => {
  const history = await open()
  history.append("cpu i-1", nowMs + 2, 2)
  history.append("cpu i-1", nowMs + 1, { one: [1] })
  history.append("cpu i-2", nowMs + 1, "other")
  history.append("cpu i-1", nowMs + 3, 3)
  const all = [
    { atMs: nowMs + 1, detail: { one: [1] } },
    { atMs: nowMs + 2, detail: 2 },
    { atMs: nowMs + 3, detail: 3 },
  ]
  assert.deepEqual(await history.read("cpu i-1", 0, Infinity, 10), all)
  assert.deepEqual(await history.read("cpu i-1", nowMs + 2, nowMs + 3, 10), all.slice(1, 2))
  assert.deepEqual(await history.read("cpu i-1", 0, Infinity, 1), all.slice(0, 1))
  assert.deepEqual(await history.read("none", 0, Infinity, 1), [])
  history.append("cpu i-2", nowMs + 4, null)
  await history.close()
  const again = await open()
  assert.deepEqual(await again.read("cpu i-1", 0, Infinity, 10), all)
  assert.equal((await again.read("cpu i-2", 0, Infinity, 10)).length, 2)
  assert.equal(statSync(join(directory, "history.sqlite")).mode & 0o777, 0o600)
})

historyTest(
  "reads backwards in pages, also where many entries have one time, and forgets all when told",
  async (open) => {
    const history = await open()
    for (let at = 0; at < 10; at += 1) history.append("calls", nowMs + Math.floor(at / 4), at)
    const seen: unknown[] = []
    let before: { atMs: number; id: number } | undefined
    for (;;) {
      const page = await history.readBack("calls", nowMs, nowMs + 10, 3, before)
      if (page.length === 0) break
      seen.push(...page.map(({ detail }) => detail))
      before = page.at(-1)
    }
    assert.deepEqual(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    assert.deepEqual(
      (await history.readBack("calls", nowMs + 1, nowMs + 2, 9)).map(({ detail }) => detail),
      [7, 6, 5, 4],
    )
    history.append("calls", nowMs, "waits")
    await history.reset()
    assert.deepEqual(await history.readBack("calls", 0, Infinity, 9), [])
  },
)

historyTest("drops what is old, what is over its size and what waits in excess", async (open, directory) => {
  const aged = await open({ maxAgeMs: 1000 })
  aged.append("s", nowMs - 2000, "old")
  aged.append("s", nowMs, "new")
  assert.deepEqual(await aged.read("s", 0, Infinity, 10), [{ atMs: nowMs, detail: "new" }])
  await aged.close()

  const small = await open({ maxBytes: 1_000_000 })
  for (let round = 0; round < 40; round += 1) {
    for (let at = 0; at < 1000; at += 1) small.append("s", nowMs + round * 1000 + at, "x".repeat(100))
    await small.read("s", 0, 1, 1)
  }
  assert.deepEqual((await small.read("s", nowMs + 39_999, Infinity, 10)).length, 1)
  assert.equal((await small.read("s", 0, nowMs + 1, 1)).length, 0)
  assert.equal(small.dropped(), 0)
  await small.close()
  assert.ok(statSync(join(directory, "history.sqlite")).size < 2_000_000)

  const narrow = await open({ maxWaiting: 3 })
  for (let at = 0; at < 10; at += 1) narrow.append("n", nowMs, at)
  assert.equal((await narrow.read("n", 0, Infinity, 100)).length, 3)
  assert.equal(narrow.dropped(), 7)
  assert.throws(() => narrow.append("n", nowMs, "x".repeat(70_000)), TypeError)
  assert.throws(() => narrow.append("n", Number.NaN, 1), TypeError)
})

historyTest("sets a damaged file aside and begins anew", async (open, directory) => {
  const damaged = Buffer.alloc(10_000, 7)
  writeFileSync(join(directory, "history.sqlite"), damaged)
  const history = await open()
  history.append("s", nowMs, 1)
  assert.equal((await history.read("s", 0, Infinity, 10)).length, 1)
  assert.ok(readdirSync(directory).includes("history.sqlite.damaged-2026-11-21"))
  assert.ok(readFileSync(join(directory, "history.sqlite.damaged-2026-11-21")).equals(damaged))
})
