import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { compileOnce } from "./compile.ts"

test("code is compiled once, and again when a file of it changes", (t) => {
  const root = mkdtempSync(join(tmpdir(), "fractus-compile-"))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const main = join(root, "daemon", "main.ts")
  const seen = join(root, "seen")
  const cache = join(root, "cache")
  const compile = (): string => {
    compileOnce(process.execPath, main, { SEEN: seen }, cache)
    return existsSync(seen) ? readFileSync(seen, "utf8") : ""
  }
  mkdirSync(join(root, "daemon"))
  mkdirSync(join(root, "wire"))
  writeFileSync(main, `require("node:fs").appendFileSync(process.env.SEEN, process.argv[2] + "\\n")`)
  assert.equal(compile(), "", "code without daemon/compile.ts is left alone")
  writeFileSync(join(root, "daemon", "compile.ts"), "")
  assert.equal(compile(), "--compile\n")
  assert.equal(compile(), "--compile\n")
  writeFileSync(join(root, "wire", "types.ts"), "// something new")
  assert.equal(compile(), "--compile\n--compile\n")
  writeFileSync(join(root, "wire", "types.test.ts"), "// no daemon loads it")
  assert.equal(compile(), "--compile\n--compile\n")
})
