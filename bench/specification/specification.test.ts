import assert from "node:assert/strict"
import { globSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { type Report, result } from "../report/result.ts"
import { headlines } from "./promises.ts"
import { readmeTable, tables, withTables } from "./table.ts"

const root = new URL("../../", import.meta.url).pathname
const machine = { cpu: "c", cpus: 2, memoryMiB: 1, kernel: "k", node: "n", loadBefore: 0, loadAfter: 0 }
const report = (...results: Report["results"]): Report => ({ name: "api", day: "2026-01-02", machine, results })

test("SPECIFICATION.md and README.md say what the committed reports say", () => {
  const reports = globSync("bench/results/*.json", { cwd: root })
    .toSorted()
    .map((path): Report => JSON.parse(readFileSync(`${root}${path}`, "utf8")))
  for (const [name, generated] of [
    ["SPECIFICATION.md", tables(reports)],
    ["README.md", readmeTable(reports)],
  ] as const) {
    const text = readFileSync(`${root}${name}`, "utf8")
    assert.equal(text, withTables(text, generated), "run: node bench/specification/write.ts")
  }
  const names = new Set(reports.flatMap(({ results }) => results.map(({ promise }) => promise)))
  assert.deepEqual(
    headlines.filter(({ name }) => !names.has(name)),
    [],
    "the README shows what nobody measured",
  )
})

test("a promise that is broken, and one that nobody measured, are told as such", () => {
  const text = tables([report(result("Second start, whatever", "s", 0.4, [0.3, 0.5, 0.6]))])
  assert.match(text, /\| Second start, whatever \| 0\.4 s \| 0\.5 s \| 0\.59 \| \*\*no\*\* \|/)
  assert.match(text, /\| Reset of a cloud \| 20 ms \| not yet measured \|/)
})

test("a result without a promise is refused", () => {
  assert.throws(() => tables([report(result("Something else", "s", null, [1]))]), /Something else/)
})

test("a result is the median of what was measured", () => {
  const { value, median, p95, spread, ok, pairs } = result("p", "ms", 3, [1, 2, 3, 4, 100])
  assert.deepEqual(
    { value, median, p95, spread, ok, pairs },
    { value: 3, median: 3, p95: 80.8, spread: 2, ok: true, pairs: 5 },
  )
  assert.throws(() => result("p", "ms", 3, []), RangeError)
})
