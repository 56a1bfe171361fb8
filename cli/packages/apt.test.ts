import assert from "node:assert/strict"
import { test } from "node:test"
import { parseAptPlan } from "./apt.ts"
import { missingPackages } from "./needs.ts"

const output = `Reading package lists...
Suggested packages:
  fio-examples
The following NEW packages will be installed:
  fio libnbd0
  librados2
0 upgraded, 3 newly installed, 0 to remove and 136 not upgraded.
Need to get 1,234 kB/19.4 MB of archives.
After this operation, 41.0 MB of additional disk space will be used.
Do you want to continue? [Y/n] N
Abort.
`

test("apt's summary gives packages, what is still to fetch and what it takes on disk", () => {
  assert.deepEqual(parseAptPlan(output), { packages: ["fio", "libnbd0", "librados2"], fetchMB: 1.234, diskMB: 41 })
})

test("bytes and gigabytes are read too", () => {
  const other = output.replace("1,234 kB/19.4 MB", "0 B/19.4 MB").replace("41.0 MB", "1.5 GB")
  assert.deepEqual([parseAptPlan(other).fetchMB, parseAptPlan(other).diskMB], [0, 1500])
})

test("where there is nothing to install the plan is empty", () => {
  assert.deepEqual(parseAptPlan("0 upgraded, 0 newly installed.\n"), { packages: [], fetchMB: 0, diskMB: 0 })
})

test("a package is missing when none of its files is there", () => {
  const needs = [
    { package: "here", files: ["/nonexistent/a", "/bin/sh"] },
    { package: "gone", files: ["/nonexistent/a"] },
  ]
  assert.deepEqual(missingPackages(needs), ["gone"])
})
