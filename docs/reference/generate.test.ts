import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { test } from "node:test"

test("the generated pages are up to date", () => {
  const program = new URL("generate.ts", import.meta.url).pathname
  const { status, stderr } = spawnSync(process.execPath, [program, "--check"], { encoding: "utf8", timeout: 60_000 })
  assert.equal(status, 0, stderr)
})

test("the README tells as many of EC2's operations as are done", () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
  const { ec2 }: { readonly ec2: { readonly done: number; readonly total: number } } =
    JSON.parse(read("coverage.json"))
  assert.ok(read("../../README.md").includes(`${ec2.done} of EC2's ${ec2.total}`), `${ec2.done} of ${ec2.total}`)
})
