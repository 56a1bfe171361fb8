import assert from "node:assert/strict"
import { test } from "node:test"
import { newestOfFirst } from "./report.ts"

test("of the first kind of image the newest version is proposed", () => {
  const of = (...names: readonly string[]) => newestOfFirst(names.map((name) => ({ name })))?.name
  const newest = of("micro-1.9-x86_64", "debian-12-1.1-x86_64", "micro-1.10-x86_64", "micro-1.2-x86_64")
  assert.equal(newest, "micro-1.10-x86_64")
  assert.equal(of(), undefined)
})
