import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { test } from "node:test"
import { inRepository } from "../repository.ts"
import type { FailedTest, FileTime } from "./run.ts"
import { filesOf, suiteNames, suiteOf } from "./suites.ts"

test("every test file of the repository belongs to one suite, by its name and place", () => {
  assert.equal(suiteOf("cli/quote.test.ts"), "unit")
  assert.equal(suiteOf("engine/network/linux/linux.vm.test.ts"), "vm")
  assert.equal(suiteOf("tests/clients/boto.test.ts"), "api")
  assert.equal(suiteOf("tests/faults/kill.test.ts"), "api")
  assert.equal(suiteOf("tests/faults/kill.vm.test.ts"), "vm")
  assert.equal(suiteOf("tests/vm/first.test.ts"), "vm")
  assert.equal(suiteOf("tests/vm/first.faults.test.ts"), "faults")
  assert.equal(suiteOf("tests/vm/first.long.test.ts"), "long")
  assert.equal(suiteOf("tests/style/arrows.test.ts"), "unit")
  const all = suiteNames.flatMap((name) => filesOf(name))
  assert.equal(new Set(all).size, all.length)
  assert.ok(filesOf("unit").includes("cli/test-runs/run.test.ts"))
  assert.ok(all.every((path) => !path.includes("node_modules")))
})

test("passes, failures, skips, broken and cancelled files are counted", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-suite-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(
    join(folder, "mixed.test.js"),
    `const { test } = require("node:test")
test("good", () => {}); test("outer", (context) => context.test("inner", () => { throw new Error("y") })); test("good too", () => {}); test("bad", () => { throw new Error("x") }); test.skip("later", () => {})`,
  )
  writeFileSync(join(folder, "broken.test.js"), "this is no program")
  // Fails beside any other: each leaves a file while it runs.
  const lonely = `const { test } = require("node:test"); const fs = require("node:fs")
test("alone", async () => { fs.mkdirSync("busy"); await new Promise((go) => setTimeout(go, 300)); fs.rmdirSync("busy") })`
  for (const name of ["one", "two"]) writeFileSync(join(folder, `${name}.alone.test.js`), lonely)
  const harness = `import { runFiles } from ${JSON.stringify(inRepository("cli/test-runs/run.ts"))}
const files = ["one.alone.test.js", "mixed.test.js", "two.alone.test.js", "broken.test.js"].map((name) => ${JSON.stringify(folder)} + "/" + name)
console.log(JSON.stringify(await runFiles("unit", files, process.stderr, ${JSON.stringify(folder)})))`
  writeFileSync(join(folder, "harness.mts"), harness)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, "harness.mts")], {
    env,
    encoding: "utf8",
    timeout: 60_000,
  })
  assert.match(stderr, /good too/)
  const { files, passed, failed, skipped, times, failures } = JSON.parse(stdout)
  assert.deepEqual({ files, passed, failed, skipped }, { files: 4, passed: 4, failed: 4, skipped: 1 })
  const told = failures.map(({ test: name, file, error }: FailedTest) => [basename(name), file, error.split("\n")[0]])
  assert.deepEqual(told.toSorted(), [
    ["bad", "mixed.test.js", "Error: x"],
    ["broken.test.js", "broken.test.js", "test failed"],
    ["inner", "mixed.test.js", "Error: y"],
  ])
  const [slow, quick] = ["one.alone.test.js", "mixed.test.js"].map((name) =>
    times.find((each: FileTime) => each.file === name),
  )
  assert.ok(slow.durationMs >= 300 && quick.durationMs > 0, JSON.stringify(times))
})
