import assert from "node:assert/strict"
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { tailOffset } from "../commands/logs.ts"
import { capLog, logLimitBytes, openLog } from "./log.ts"

const logIn = (context: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-log-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, "daemon.log")
}

test("a log over the limit is set aside at the next start, a shorter one is appended to", (context) => {
  const path = logIn(context)
  writeFileSync(path, "short\n")
  closeSync(openLog(path))
  assert.equal(readFileSync(path, "utf8"), "short\n")
  truncateSync(path, logLimitBytes + 1)
  closeSync(openLog(path))
  assert.deepEqual([statSync(path).size, statSync(`${path}.1`).size], [0, logLimitBytes + 1])
})

test("a log that is being written to is capped under its writer, which goes on at its start", (context) => {
  const path = logIn(context)
  const writer = openLog(path)
  context.after(() => closeSync(writer))
  writeSync(writer, Buffer.alloc(logLimitBytes + 1, "x"))
  capLog(path)
  writeSync(writer, "after\n")
  assert.equal(readFileSync(path, "utf8"), "after\n")
  assert.equal(statSync(`${path}.1`).size, logLimitBytes + 1)
})

test("the last lines are found from the end, across blocks and without a last end of line", (context) => {
  const path = logIn(context)
  const tail = (lines: number): string => {
    const fd = openSync(path, "r")
    const offset = tailOffset(fd, lines)
    closeSync(fd)
    return readFileSync(path, "utf8").slice(offset)
  }
  writeFileSync(path, "")
  assert.equal(tail(5), "")
  writeFileSync(path, "a\nb\nc\n")
  assert.deepEqual([tail(1), tail(2), tail(3), tail(9)], ["c\n", "b\nc\n", "a\nb\nc\n", "a\nb\nc\n"])
  appendFileSync(path, "open")
  assert.deepEqual([tail(1), tail(2)], ["open", "c\nopen"])
  const long = `${"y".repeat(100_000)}\n`
  writeFileSync(path, `first\n${long}${long}`)
  assert.equal(tail(2), long + long)
  assert.equal(tail(3), `first\n${long}${long}`)
  writeFileSync(path, `${"z".repeat(65_535)}\n${"w".repeat(65_535)}\n`)
  assert.equal(tail(1), `${"w".repeat(65_535)}\n`)
})
