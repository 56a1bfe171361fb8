import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { test } from "node:test"
import { processes } from "./processes.ts"

test("a process is found from the moment its start is told, by argument and by environment, however often it execs", async (t) => {
  const mark = `fractus-processes-${process.pid}`
  // Twenty programs one after another, as chains of nsenter, unshare and setpriv are.
  const chain = `n=$1; [ "$n" = 0 ] && exec sleep 60; exec sh -c "$2" "$0" "$((n - 1))" "$2" "$3"`
  for (let round = 0; round < 20; round++) {
    const env = { PATH: process.env["PATH"], MARK: mark }
    const child = spawn("sh", ["-c", chain, mark, "20", chain, mark], { env, stdio: "ignore" })
    t.after(() => child.kill("SIGKILL"))
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject))
    const has = async (what: "cmdline" | "environ", word: string) =>
      (await processes(what)).some(({ pid, words }) => pid === child.pid && words.includes(word))
    assert.ok(await has("environ", `MARK=${mark}`), `round ${round}`)
    assert.ok((await processes("cmdline")).some(({ pid }) => pid === child.pid))
    assert.equal(await has("environ", "MARK=other"), false)
    const gone = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await gone
    assert.equal(await has("environ", `MARK=${mark}`), false)
  }
})

test("kernel threads and this process are left out, and asking is quick", async () => {
  const startMs = performance.now()
  const found = await processes("cmdline")
  assert.ok(found.length > 0)
  assert.ok(found.every(({ pid, words }) => pid !== process.pid && pid !== 2 && words.join("") !== ""))
  assert.ok(performance.now() - startMs < 5_000)
})
