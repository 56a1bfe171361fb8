import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { systemClock } from "#lib/clock.ts"
import type { HypervisorEngine, MachineSpec } from "../types.ts"
import { openCgroups } from "./cgroup.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-hvi-"))
const prefix = path.basename(home)
mkdirSync(path.join(home, "state"))
after(() => rmSync(home, { recursive: true, force: true }))

async function withMachine(spec: MachineSpec, work: (engine: HypervisorEngine, pid: number) => Promise<void>) {
  const clock = systemClock()
  const options = { runDirectory: path.join(home, "run"), stateDirectory: path.join(home, "state"), prefix, clock }
  const engine = await openQemu({ ...options, log: () => {} })
  try {
    const { pid } = await engine.prepare(spec)
    assert.ok(pid)
    await work(engine, pid)
  } finally {
    await engine.kill(spec.id)
    await engine.remove(spec.id)
    await engine.close()
  }
}

const status = (pid: number) => {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").split("\n")
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2)))
}

test("the process is the guest's user, has no rights, no devices, and no view of the host", async () => {
  const spec = tinySpec("i-cell", path.join(home, "cell.raw"), "deaf")
  await withMachine({ ...spec, uid: 2_099_997 }, async (_engine, pid) => {
    const is = status(pid)
    assert.match(is["Uid"], /^2099997/)
    assert.equal(is["Groups"]?.trim(), "")
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) assert.match(is[set], /^0+$/)
    assert.equal(is["NoNewPrivs"], "1")
    assert.equal(is["Seccomp"], "2")
    for (const kind of ["net", "mnt", "ipc", "uts"]) {
      assert.notEqual(readlinkSync(`/proc/${pid}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`), kind)
    }
    const inside = (...command: string[]) =>
      execFileSync("nsenter", [`--target=${pid}`, "--mount", "--root", ...command], { encoding: "utf8" })
    assert.equal(inside("ls", "-A", "/etc", "/root", "/run", "/tmp", "/var").replaceAll(/\/\w+:\n|\n/g, ""), "")
    const devices = inside("find", "/dev", "-type", "c").trim().split("\n").toSorted()
    assert.deepEqual(devices, ["/dev/net/tun", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"])
    const seen = inside("setpriv", "--reuid=2099997", "--regid=2099997", "--clear-groups", "ls", "/proc")
    const others = seen
      .split("\n")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== pid && existsSync(`/proc/${name}`))
    assert.deepEqual(others, [], "no process of another user")
  })
})

const noGroups = openCgroups(`${prefix}-probe`).version === undefined && "no control groups can be written here"
test("the process has its limits", { skip: noGroups }, async () => {
  const spec = tinySpec("i-cell", path.join(home, "limits.raw"), "deaf")
  await withMachine({ ...spec, uid: 2_099_997, cpuQuotaPercent: 50 }, async (_engine, pid) => {
    const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8")
    assert.ok(groups.includes(`/${prefix}/i-cell`), groups)
    const quota = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
      .map((mount) => path.join(mount, prefix, "i-cell", "cpu.cfs_quota_us"))
      .find((file) => statSync(file, { throwIfNoEntry: false }))
    const set = quota ?? path.join("/sys/fs/cgroup", prefix, "i-cell", "cpu.max")
    assert.match(readFileSync(set, "utf8"), /^50000\b/)
  })
  // Other tests' groups come and go while it looks: it may miss those, and says so.
  const search = `find /sys/fs/cgroup -name ${prefix} 2>/dev/null; true`
  assert.equal(execFileSync("sh", ["-c", search], { encoding: "utf8" }), "")
})
