import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"

const module = new URL("own-log.ts", import.meta.url).href

test("a running daemon's log is cut at its limit and goes on with what comes", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "fractus-own-log-"))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, "daemon.log")
  const program = `import { boundOwnLog } from ${JSON.stringify(module)}
    boundOwnLog(${JSON.stringify(path)}, { maxBytes: 4096, everyMs: 20 })
    let line = 0
    setInterval(() => console.error("line", line++, "x".repeat(80)), 1)`
  const output = openSync(path, "a")
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", output, output] })
  closeSync(output)
  t.after(() => child.kill("SIGKILL"))
  const numbers = (text: string) => [...text.matchAll(/^line (\d+) /gm)].map((match) => Number(match[1]))
  const end = performance.now() + 20_000
  const read = (name: string) => {
    try {
      return readFileSync(name, "utf8")
    } catch {
      return ""
    }
  }
  // Some twenty limits' worth of lines.
  while ((numbers(read(path)).at(-1) ?? 0) < 900) {
    assert.ok(performance.now() < end, `the log ends with ${read(path).slice(-200)}`)
    await delay(10)
  }
  child.kill("SIGKILL")
  await once(child, "exit")
  assert.ok(statSync(`${path}.1`).size <= 2048)
  assert.ok(statSync(path).size < 64 * 1024, "it was never emptied")
  assert.ok((numbers(read(`${path}.1`)).at(-1) ?? 0) > 100, "what was set aside is not the newest part")
})
