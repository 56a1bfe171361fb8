import assert from "node:assert/strict"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { codeFolder, isReachableByAll } from "./code.ts"

test("code in a private folder is linked where all can read it, anew at each start; public code is used as it is", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-code-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const [source, target] = [join(folder, "private", "clone"), join(folder, "home", "code")]
  mkdirSync(join(source, "daemon"), { recursive: true })
  mkdirSync(join(source, ".git"))
  writeFileSync(join(source, "daemon", "main.ts"), "one", { mode: 0o644 })
  chmodSync(folder, 0o755)
  assert.equal(isReachableByAll(source), true)
  assert.equal(codeFolder(target, source), source)
  chmodSync(join(folder, "private"), 0o700)
  assert.equal(isReachableByAll(source), false)
  assert.equal(codeFolder(target, source), target)
  assert.equal(readFileSync(join(target, "daemon", "main.ts"), "utf8"), "one")
  assert.equal(isReachableByAll(target), true)
  assert.equal(statSync(join(target, "daemon", "main.ts")).mode & 0o444, 0o444)
  assert.equal(existsSync(join(target, ".git")), false)
  rmSync(join(source, "daemon", "main.ts"))
  writeFileSync(join(source, "daemon", "new.ts"), "two")
  codeFolder(target, source)
  assert.equal(existsSync(join(target, "daemon", "main.ts")), false)
  assert.equal(existsSync(join(target, "daemon", "new.ts")), true)
  assert.equal(existsSync(`${target}.old`), false)
})
