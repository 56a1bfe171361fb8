import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { inRepository } from "../repository.ts"
import { firstDifference, type LockFile } from "./fits.ts"

const lock: LockFile = {
  packages: {
    "": {},
    "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
    "node_modules/dev": { version: "2.0.0", integrity: "sha512-d", dev: true },
    "node_modules/other-system": { version: "3.0.0", integrity: "sha512-o", optional: true },
  },
}
const a = { version: "1.0.0", integrity: "sha512-a" }
const dev = { version: "2.0.0", integrity: "sha512-d", dev: true }

const difference = (packages: LockFile["packages"]): string => firstDifference(lock, { packages }, "runtime") ?? ""

test("what fits, fits; development packages count only where they are wanted", () => {
  assert.equal(firstDifference(lock, { packages: { "node_modules/a": a } }, "runtime"), undefined)
  assert.equal(
    firstDifference(lock, { packages: { "node_modules/a": a, "node_modules/dev": dev } }, "development"),
    undefined,
  )
  assert.match(
    firstDifference(lock, { packages: { "node_modules/a": a } }, "development") ?? "",
    /dev is not installed/,
  )
})

test("another version, another checksum, a missing and an unknown package are found", () => {
  assert.match(difference({ "node_modules/a": { ...a, version: "1.0.1" } }), /lock file says 1\.0\.0/)
  assert.match(difference({ "node_modules/a": { ...a, integrity: "sha512-x" } }), /checksum/)
  assert.match(difference({}), /a is not installed/)
  assert.match(difference({ "node_modules/a": a, "node_modules/b": a }), /b is installed but not/)
})

test("the plan's figures are those of this lock file", () => {
  const script = readFileSync(inRepository("cli/install/install.sh"), "utf8")
  const [, packages, megabytes] = /\*\) npm_packages=(\d+) npm_fetch_mb=\d+ npm_disk_mb=(\d+)/.exec(script) ?? []
  const installed: LockFile = JSON.parse(readFileSync(inRepository("node_modules/.package-lock.json"), "utf8"))
  const count = Object.keys(installed.packages).length
  assert.ok(
    Math.abs(count - Number(packages)) <= count / 5,
    `${count} packages are installed, the plan says ${packages}`,
  )
  const disk = Number.parseInt(execFileSync("du", ["-sm", inRepository("node_modules")], { encoding: "utf8" }), 10)
  assert.ok(Math.abs(disk - Number(megabytes)) <= disk / 5, `${disk} MB are on disk, the plan says ${megabytes}`)
})
