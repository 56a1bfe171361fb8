import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { Failure } from "../failure.ts"
import { checkSystemd, unitText } from "./unit.ts"

test("the unit starts the home's daemon in the foreground, for ever, and leaves guests alone", () => {
  const text = unitText("/var/lib/fractus", "/opt/fractus/fractus")
  assert.match(
    text,
    /^ExecStart="\/opt\/fractus\/fractus" "up" "--foreground" "--yes" "--no-profile" "--home" "\/var\/lib\/fractus"$/m,
  )
  const first = unitText("/var/lib/fractus", "/opt/fractus/fractus", "first")
  assert.match(first, /"--no-profile" "--images" "first" "--home" "\/var\/lib\/fractus"$/m)
  for (const line of ["Restart=always", "KillMode=process", "WantedBy=multi-user.target"]) {
    assert.ok(text.split("\n").includes(line), line)
  }
})

test("what systemd would expand in a path is escaped, and a line break is refused", () => {
  const text = unitText('/srv/a "b" 100% $HOME\\x', "/f")
  assert.ok(text.includes('"/srv/a \\"b\\" 100%% $$HOME\\\\x"\n'), text)
  assert.throws(() => unitText("/srv/a\nExecStartPre=/bin/sh", "/f"), Failure)
})

test("systemd itself finds nothing wrong with the unit", (context) => {
  const verifier = "/usr/bin/systemd-analyze"
  if (!existsSync(verifier)) return context.skip("no systemd-analyze on this machine")
  const folder = mkdtempSync(join(tmpdir(), "fractus-unit-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const entry = join(folder, "an entry")
  writeFileSync(entry, "#!/bin/sh\n")
  chmodSync(entry, 0o755)
  const path = join(folder, "fractus.service")
  writeFileSync(path, unitText(join(folder, "a home"), entry))
  const done = spawnSync(verifier, ["verify", "--man=no", path], { encoding: "utf8", timeout: 60_000 })
  assert.equal(done.status, 0, done.stderr)
  assert.doesNotMatch(done.stderr, /fractus\.service/)
})

test("without systemd: exit 3, and a command that works here", () => {
  assert.throws(
    () => checkSystemd("/srv/fractus", "--enable", "/nowhere"),
    (error) => error instanceof Failure && error.exitCode === 3 && error.mend.some((line) => / up/.test(line)),
  )
})
