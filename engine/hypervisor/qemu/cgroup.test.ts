import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { openCgroups } from "./cgroup.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-cgroup-"))
after(() => rmSync(home, { recursive: true, force: true }))
const limits = { cpuPercent: 50, memoryMiB: 100, threads: 130 }
const read = (...names: string[]) => readFileSync(path.join(home, ...names), "utf8")

test("version 2: controllers are passed down, limits set, the group removed with its parent", async () => {
  const mount = path.join(home, "v2")
  mkdirSync(mount)
  writeFileSync(path.join(mount, "cgroup.controllers"), "cpuset cpu io memory pids\n")
  const groups = openCgroups("fr0", `30 24 0:26 / ${mount} rw shared:9 - cgroup2 cgroup2 rw\n`)
  assert.equal(groups.version, "v2")
  assert.equal(existsSync(path.join(mount, "fr0")), false, "nothing is made before it is needed")
  assert.deepEqual(groups.ensure("i-1", limits), [path.join(mount, "fr0/i-1/cgroup.procs")])
  assert.equal(read("v2/cgroup.subtree_control"), "+cpu +memory +pids")
  assert.equal(read("v2/fr0/i-1/cpu.max"), "50000 100000")
  assert.equal(read("v2/fr0/i-1/memory.max"), `${100 << 20}`)
  assert.equal(read("v2/fr0/i-1/pids.max"), "130")
  assert.equal(groups.limitCpu("i-1", 0.25), true)
  assert.equal(read("v2/fr0/i-1/cpu.max"), "1000 100000", "the least that a kernel takes")
})

test("version 2 in a container: its own group passes nothing down while processes are in it", () => {
  const mount = path.join(home, "inner")
  mkdirSync(mount)
  const version = (procs: string, passed: string) => {
    const files = { "cgroup.controllers": "cpu memory pids", "cgroup.type": "domain", "cgroup.procs": procs }
    for (const [name, text] of Object.entries({ ...files, "cgroup.subtree_control": passed }))
      writeFileSync(path.join(mount, name), `${text}\n`)
    return openCgroups("fr0", `30 24 0:26 / ${mount} rw shared:9 - cgroup2 cgroup2 rw\n`).version
  }
  assert.equal(version("1\n7", ""), undefined)
  assert.equal(version("", ""), "v2", "all of them are in groups below")
  assert.equal(version("1", "cpu memory pids"), "v2")
})

test("version 1: each controller where it is mounted, the mixed layout too", () => {
  for (const name of ["cpu,cpuacct", "memory", "unified"]) mkdirSync(path.join(home, name))
  writeFileSync(path.join(home, "unified", "cgroup.controllers"), "\n")
  const mountinfo = [
    `31 30 0:27 / ${home}/unified rw - cgroup2 cgroup2 rw`,
    `32 30 0:28 / ${home}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct`,
    `33 30 0:29 / ${home}/memory rw - cgroup cgroup rw,memory`,
    `34 30 0:30 / ${home}/missing rw - cgroup cgroup rw,pids`,
  ].join("\n")
  const groups = openCgroups("fr0", mountinfo)
  assert.equal(groups.version, "v1")
  assert.equal(groups.ensure("i-1", limits).length, 2)
  assert.equal(read("cpu,cpuacct/fr0/i-1/cpu.cfs_quota_us"), "50000")
  assert.equal(read("memory/fr0/i-1/memory.limit_in_bytes"), `${100 << 20}`)
  assert.equal(groups.limitCpu("i-1", 12.5), true)
  assert.equal(read("cpu,cpuacct/fr0/i-1/cpu.cfs_quota_us"), "12500")
})

test("where none can be written, machines run without", async () => {
  const groups = openCgroups("fr0", "24 1 0:21 / / rw - ext4 /dev/root rw\n")
  assert.equal(groups.version, undefined)
  assert.deepEqual(groups.ensure("i-1", limits), [])
  assert.equal(groups.limitCpu("i-1", 10), false)
  await groups.remove("i-1")
})
