import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { brokenPrograms } from "./broken.ts"
import { engineNeeds } from "./needs.ts"

test("a program that does not run is named with its package and its last words", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-broken-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, "bin"))
  const make = (name: string, text: string, mode = 0o755) => {
    const file = join(folder, "bin", name)
    writeFileSync(file, text, { mode })
    return { package: `${name}-package`, files: [join(folder, "bin", "gone"), file] }
  }
  const library = "error while loading shared libraries: libfoo.so.1"
  const needs = [
    make("whole", "#!/bin/sh\n[ $1 = --version ]"),
    make("ip", "#!/bin/sh\n[ $1 = -V ]"),
    make("torn", `#!/bin/sh\necho tried >&2; echo "${library}" >&2; exit 127`),
    make("silent", "#!/bin/sh\nexit 3"),
    make("forbidden", "#!/bin/sh", 0o644),
    { package: "absent", files: ["/nonexistent/bin/absent"] },
    { package: "no-program", files: ["/etc/passwd"] },
  ]
  const broken = await brokenPrograms(needs)
  assert.deepEqual(
    broken.map((each) => [each.package, each.said]),
    [
      ["torn-package", library],
      ["silent-package", "exit 3"],
      ["forbidden-package", "exit EACCES"],
    ],
  )
  assert.equal(broken[0]?.program, join(folder, "bin", "torn"))
})

test("every program that is needed tells its version when it is asked", async () => {
  assert.deepEqual(await brokenPrograms(engineNeeds), [])
})
