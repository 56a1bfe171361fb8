import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { openShells } from "./shells.ts"

const shells = openShells({ PATH: process.env["PATH"] ?? "", LC_ALL: "C" })
const run = (argv: readonly string[], input = "", deadlineMs = 20_000, mostBytes = 1 << 20) =>
  shells.run(argv, input, deadlineMs, mostBytes)

test("a program gets its words and its input as they are, and its end is told", async () => {
  const words = ["a b", "it's", "$HOME", "`id`", "", "new\nline", "\\", "*"]
  const told = await run(["printf", "<%s>", ...words])
  assert.deepEqual(told, { code: 0, stdout: words.map((word) => `<${word}>`).join(""), stderr: "" })
  const input = "one $HOME `id` $(id) \\ ' \"\n\n  two\n"
  assert.equal((await run(["cat"], input)).stdout, input)
  assert.equal((await run(["cat"], "no end")).stdout, "no end\n")
  assert.equal((await run(["cat"])).stdout, "")
  const failed = await run(["sh", "-c", "echo out; echo wrong >&2; exit 3"])
  assert.deepEqual(failed, { code: 3, stdout: "out\n", stderr: "wrong\n" })
  assert.equal((await run(["sh", "-c", "kill -9 $$"])).code, 137)
  const missing = await run(["no-such-program-of-ours"])
  assert.deepEqual([missing.code, /not found/.test(missing.stderr)], [127, true])
})

test("many run at once, each with its own", async () => {
  const numbers = Array.from({ length: 40 }, (_, at) => `${at}`)
  const told = await Promise.all(numbers.map((number) => run(["cat"], `${number}\n`.repeat(2_000))))
  assert.deepEqual(
    told.map(({ stdout }) => stdout.slice(0, stdout.indexOf("\n"))),
    numbers,
  )
})

test("what hangs or prints without end is ended, and the next command runs", async () => {
  const hangs = run(["sh", "-c", "echo $$ >&2; exec sleep 600"], "", 300)
  await assert.rejects(hangs, /passed its deadline/)
  await assert.rejects(run(["yes"], "", 20_000, 100_000), /printed too much/)
  assert.equal((await run(["echo", "on"])).stdout, "on\n")
})

test("a program does not outlive its deadline, nor a shell that waits the process that opened it", async () => {
  const script = `
    import { openShells } from ${JSON.stringify(new URL("./shells.ts", import.meta.url).pathname)}
    const shells = openShells({ PATH: process.env.PATH })
    await shells.run(["sleep", "600"], "", 200, 1000).catch(() => {})
    const { stdout } = await shells.run(["sh", "-c", "echo $PPID"], "", 20000, 1000)
    process.stdout.write(stdout)
  `
  const node = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], { timeout: 30_000 })
  const shell = Number((await node).stdout)
  assert.ok(shell > 1)
  const endMs = performance.now() + 20_000
  while (existsSync(`/proc/${shell}/exe`)) {
    assert.ok(performance.now() < endMs, "its shell is still there")
    await sleep(10)
  }
})

test("a shell that is ended under its command says so", async () => {
  const ended = run(["sh", "-c", "kill -9 $PPID; sleep 600"], "", 20_000)
  await assert.rejects(ended, /its shell ended/)
  assert.equal((await run(["echo", "on"])).stdout, "on\n")
})
