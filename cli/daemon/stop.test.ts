import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { newConfig } from "../config.ts"
import { homeFiles, writeWhole } from "../home.ts"
import { startTimeOf } from "#lib/claim.ts"
import { takeDown } from "./stop.ts"

/** A home whose daemon ignores SIGTERM and never answers, and a clean.ts that notes what it was called with. */
const stuckWorld = (context: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-stop-"))
  const [home, code] = [join(folder, "home"), join(folder, "code")]
  mkdirSync(home)
  mkdirSync(join(code, "daemon"), { recursive: true })
  const note = `writeFileSync(${JSON.stringify(join(folder, "cleaned"))}, process.argv[2])`
  writeFileSync(join(code, "daemon", "clean.ts"), `import { writeFileSync } from "node:fs"\n${note}`)
  const child = spawn("sh", ["-c", "trap '' TERM; echo ready; while :; do read -r line || exit; done"], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  context.after(() => {
    child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  })
  return { folder, home, code, child }
}

test("a daemon that does not answer is ended, and what it left is cleaned", async (context) => {
  const { folder, home, code, child } = stuckWorld(context)
  await new Promise((resolve) => child.stdout.once("data", resolve))
  const config = newConfig(home, { engine: "sim", port: 1 }, undefined)
  writeWhole(homeFiles(home).config, JSON.stringify(config), 0o644)
  const credentials = { accessKeyId: "A", secretAccessKey: "B", account: "1", region: "r", controlToken: "t" }
  writeWhole(homeFiles(home).credentials, JSON.stringify(credentials), 0o600)
  const record = {
    pid: child.pid ?? 0,
    startTime: startTimeOf(child.pid ?? 0),
    endpoint: "http://127.0.0.1:1",
    engine: "sim",
    accelerator: null,
  }
  writeWhole(homeFiles(home).daemon, JSON.stringify(record), 0o644)
  assert.equal(await takeDown({ home, code, node: process.execPath }, { answerMs: 300, termMs: 300 }), "cleaned")
  assert.equal(startTimeOf(record.pid), undefined)
  assert.equal(readFileSync(join(folder, "cleaned"), "utf8"), homeFiles(home).config)
})

test("a pid that another process has got meanwhile is left alone", async (context) => {
  const { folder, home, code, child } = stuckWorld(context)
  writeWhole(homeFiles(home).config, JSON.stringify(newConfig(home, { engine: "sim" }, undefined)), 0o644)
  const record = { pid: child.pid, startTime: 1, endpoint: "http://127.0.0.1:1", engine: "sim", accelerator: null }
  writeWhole(homeFiles(home).daemon, JSON.stringify(record), 0o644)
  assert.equal(await takeDown({ home, code, node: process.execPath }), "nothing")
  assert.notEqual(startTimeOf(child.pid ?? 0), undefined)
  assert.equal(existsSync(join(folder, "cleaned")), false)
})
