import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"

test("a process that compiled its code starts over once, as itself; with compiled code it goes on", () => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-compiled-"))
  try {
    const script = join(folder, "main.ts")
    const compiled = new URL("compiled.ts", import.meta.url).href
    const text = (value: number) =>
      `import { startOverIfCompiling } from "${compiled}"
const value: number = ${value}
console.log("begins", process.pid)
await startOverIfCompiling(async () => console.log("loads more", process.pid))
console.log("runs", process.pid, value, process.argv[2], process.execArgv.join(), process.env.FRACTUS_COMPILED)
`
    const run = (env: NodeJS.ProcessEnv): string[] => {
      const argv = ["--max-semi-space-size=2", script, "word"]
      const output = execFileSync(process.execPath, argv, {
        encoding: "utf8",
        env: { ...env, FRACTUS_COMPILED: undefined },
      })
      const [pid = ""] = /\d+/.exec(output) ?? []
      return output.trim().replaceAll(pid, "PID").split("\n")
    }
    const cached = { NODE_COMPILE_CACHE: join(folder, "cache") }
    const plain = (value: number) => ["begins PID", `runs PID ${value} word --max-semi-space-size=2 undefined`]
    const over = (value: number) => ["begins PID", "loads more PID", ...plain(value)]
    writeFileSync(script, text(1))
    assert.deepEqual(run({}), plain(1), "without a cache there is nothing to come back to")
    assert.deepEqual(run(cached), over(1))
    assert.deepEqual(run(cached), plain(1))
    writeFileSync(script, text(2))
    assert.deepEqual(run(cached), over(2))
    assert.deepEqual(run(cached), plain(2))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
