import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { appendFileSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { allIds, resource } from "../conformance/subject.ts"
import { StoreUnusableError, type Store } from "../types.ts"
import { openSqliteStore } from "./open.ts"

/** Commits until the disk is full; gives the ids that were acknowledged. */
async function fill(store: Store): Promise<string[]> {
  const acknowledged: string[] = []
  for (let at = 0; at < 1000; at += 1) {
    try {
      await store.commit({ put: [resource(`i-${at}`, { record: "x".repeat(50_000), facets: { state: ["running"] } })] })
      acknowledged.push(`i-${at}`)
    } catch (error) {
      assert.ok(error instanceof StoreUnusableError, String(error))
      assert.equal(error.reason, "full", error.message)
      return acknowledged
    }
  }
  throw new Error("the disk never was full")
}

test("a full disk loses nothing, and the store goes on when there is room", async () => {
  const mount = mkdtempSync(join(tmpdir(), "fractus-full-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", mount])
  try {
    const ballast = join(mount, "ballast")
    writeFileSync(ballast, Buffer.alloc(1_500_000))
    const directory = join(mount, "home")
    let store = await openSqliteStore({ directory })
    try {
      const acknowledged = await fill(store)
      assert.ok(acknowledged.length > 5)
      assert.deepEqual(await allIds(store), acknowledged)
      await assert.rejects(store.commit({ put: [resource("more", { record: "x".repeat(3_000_000) })] }), {
        reason: "full",
      })
      rmSync(ballast)
      await store.commit({ put: [resource("after")] })
      assert.deepEqual(await allIds(store), [...acknowledged, "after"])
      await store.close()
      store = await openSqliteStore({ directory })
      assert.deepEqual(await allIds(store), [...acknowledged, "after"])
    } finally {
      await store.close()
    }
  } finally {
    execFileSync("umount", [mount])
    rmSync(mount, { recursive: true })
  }
})

test("what makes room is committed on a disk that others filled to the last byte", async () => {
  const mount = mkdtempSync(join(tmpdir(), "fractus-full-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", mount])
  try {
    const store = await openSqliteStore({ directory: join(mount, "home") })
    try {
      assert.throws(
        () => {
          for (;;) appendFileSync(join(mount, "ballast"), Buffer.alloc(65_536))
        },
        { code: "ENOSPC" },
      )
      assert.equal(statfsSync(mount).bavail, 0)
      const ids = Array.from({ length: 200 }, (_, at) => `i-${at}`)
      for (const id of ids) await store.commit({ put: [resource(id, { record: "x".repeat(2000) })] })
      assert.deepEqual(await allIds(store), ids)
    } finally {
      await store.close()
    }
  } finally {
    execFileSync("umount", [mount])
    rmSync(mount, { recursive: true })
  }
})
