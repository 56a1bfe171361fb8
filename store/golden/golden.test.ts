import assert from "node:assert/strict"
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { resource } from "../conformance/subject.ts"
import { openSqliteStore } from "../sqlite/open.ts"
import { contents } from "./contents.ts"

const releases = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory())

test("there is a golden home", () => assert.ok(releases.length > 0))

for (const { name: release } of releases) {
  test(`opens the home of release ${release} with all that was in it`, async () => {
    const golden = join(import.meta.dirname, release)
    const directory = mkdtempSync(join(tmpdir(), "fractus-golden-"))
    try {
      copyFileSync(join(golden, "store.sqlite"), join(directory, "store.sqlite"))
      const store = await openSqliteStore({ directory })
      try {
        const expected: unknown = JSON.parse(readFileSync(join(golden, "contents.json"), "utf8"))
        assert.deepEqual(await contents(store), expected)
        const { versions, seq } = await store.commit({
          put: [resource("i-2"), resource("i-9")],
          delete: ["i-1"],
          event: [{ atMs: 1, kind: "changed", subject: "i-2", account: "111", region: "here", detail: null }],
        })
        assert.deepEqual(Object.fromEntries(versions), { "i-2": 3, "i-9": 1 })
        assert.equal(seq, 3)
        assert.deepEqual([...(await store.getMany(["v-1", "i-1", "i-9"])).keys()], ["i-9"])
      } finally {
        await store.close()
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}
