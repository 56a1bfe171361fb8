import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { test } from "node:test"

test("the generated pages are up to date", () => {
  const program = new URL("generate.ts", import.meta.url).pathname
  const { status, stderr } = spawnSync(process.execPath, [program, "--check"], { encoding: "utf8", timeout: 60_000 })
  assert.equal(status, 0, stderr)
})
