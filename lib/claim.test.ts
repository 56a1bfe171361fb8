import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { readClaim, startTimeOf, takeClaim } from "./claim.ts"

test("one process has a file at a time; that of one that is gone is free", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-claim-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "x.json")
  assert.equal(readClaim(path), undefined)
  const claim = takeClaim(path, { what: 1 })
  assert.deepEqual(readClaim(path), { pid: process.pid, startTime: startTimeOf(process.pid), what: 1 })
  assert.equal(takeClaim(path), undefined)
  claim?.say({ what: 2 })
  assert.equal(readClaim(path)?.["what"], 2)
  claim?.release()
  assert.deepEqual(readdirSync(folder), [])

  const other = spawn("sleep", ["60"])
  context.after(() => other.kill("SIGKILL"))
  await once(other, "spawn")
  const [pid, startTime] = [other.pid ?? 0, startTimeOf(other.pid ?? 0)]
  const holders = { living: { pid, startTime }, pidUsedAgain: { pid, startTime: (startTime ?? 0) - 1 } }
  writeFileSync(path, JSON.stringify(holders.living))
  assert.equal(takeClaim(path), undefined)
  for (const remains of [JSON.stringify(holders.pidUsedAgain), "", "{}", "null"]) {
    writeFileSync(path, remains)
    assert.equal(readClaim(path), undefined, remains)
    const taken = takeClaim(path)
    assert.ok(taken, remains)
    taken.release()
  }
  writeFileSync(path, JSON.stringify(holders.living))
  other.kill("SIGKILL")
  await once(other, "exit")
  assert.ok(takeClaim(path))
  assert.deepEqual(readdirSync(folder), ["x.json"])
})
