import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"

/** Runs a daemon of a throwaway home whose asker is gone already: its standard input ends at once. */
const runThrowaway = (context: TestContext, prefix: string) => {
  const home = mkdtempSync(join(tmpdir(), prefix))
  context.after(() => rmSync(home, { recursive: true, force: true }))
  const config = { home, port: 0, address: "127.0.0.1", engine: "sim", auth: "on", unknownAmi: "reject", simSpeed: 1 }
  writeFileSync(join(home, "config.json"), JSON.stringify({ ...config, region: "us-east-1", account: "123456789012" }))
  const main = new URL("main.ts", import.meta.url).pathname
  const argv = [main, join(home, "config.json"), "--throwaway"]
  const { status, stderr } = spawnSync(process.execPath, argv, { input: "", encoding: "utf8", timeout: 60_000 })
  return { home, status, stderr }
}

test("a throwaway daemon whose asker is gone before it serves ends with its home", (context) => {
  const { home, status, stderr } = runThrowaway(context, "fractus-try-")
  assert.equal(status, 0, stderr)
  assert.equal(existsSync(home), false)
})

test("a home that does not carry the name of a throwaway one is never removed", (context) => {
  const { home, status, stderr } = runThrowaway(context, "fractus-home-")
  assert.equal(status, 1)
  assert.match(stderr, /no home that may be thrown away/)
  assert.equal(existsSync(join(home, "config.json")), true)
})
