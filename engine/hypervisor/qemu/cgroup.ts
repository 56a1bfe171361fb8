/** Limits of one machine: CPU time, memory, threads. Control groups of version 2, or of version 1 as far as mounted. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export interface Limits {
  /** Hundredths of a CPU. */
  readonly cpuPercent: number
  readonly memoryMiB: number
  readonly threads: number
}

export interface Cgroups {
  /** "v1", "v2", or undefined: none can be written, machines run without limits. */
  readonly version: "v1" | "v2" | undefined
  /** Makes or refits the group of a machine. Gives the files that a process writes its pid to in order to join. */
  ensure(id: string, limits: Limits): readonly string[]
  /** Changes a machine's share of CPU alone, in hundredths of a CPU. False where none can be set. */
  limitCpu(id: string, cpuPercent: number): boolean
  /** Idempotent. The group must hold no process. */
  remove(id: string): Promise<void>
}

const periodUs = 100_000

/** The kernel takes no quota below a millisecond. */
const quotaUs = (cpuPercent: number) => Math.max(1000, Math.round((cpuPercent * periodUs) / 100))

/** Finds what the host has and takes `name` in it for ours. */
export function openCgroups(name: string, mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): Cgroups {
  const v2 = openV2(name, mountinfo)
  if (v2) return v2
  const mounts = controllersV1(mountinfo)
  const usable = [...mounts].filter(([, mount]) => writable(mount))
  if (usable.length === 0)
    return { version: undefined, ensure: () => [], limitCpu: () => false, remove: async () => {} }
  return {
    version: "v1",
    ensure: (id, limits) =>
      usable.map(([controller, mount]) => {
        const group = path.join(mount, name, id)
        mkdirSync(group, { recursive: true })
        for (const [file, value] of valuesV1(controller, limits)) writeFileSync(path.join(group, file), value)
        return path.join(group, "cgroup.procs")
      }),
    limitCpu(id, cpuPercent) {
      const mount = new Map(usable).get("cpu")
      if (mount === undefined) return false
      writeFileSync(path.join(mount, name, id, "cpu.cfs_quota_us"), `${quotaUs(cpuPercent)}`)
      return true
    },
    async remove(id) {
      for (const [, mount] of usable) await removeGroup(path.join(mount, name), id)
    },
  }
}

function valuesV1(controller: string, limits: Limits): readonly (readonly [string, string])[] {
  if (controller === "memory") return [["memory.limit_in_bytes", `${limits.memoryMiB * 2 ** 20}`]]
  if (controller === "pids") return [["pids.max", `${limits.threads}`]]
  return [
    ["cpu.cfs_period_us", `${periodUs}`],
    ["cpu.cfs_quota_us", `${quotaUs(limits.cpuPercent)}`],
  ]
}

/** Where version 1 has the controllers that we use. */
function controllersV1(mountinfo: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ")
    const [type, , options = ""] = after.split(" ")
    const mount = before.split(" ")[4]
    if (type !== "cgroup" || mount === undefined) continue
    for (const controller of ["cpu", "memory", "pids"]) {
      if (options.split(",").includes(controller)) found.set(controller, mount)
    }
  }
  return found
}

function openV2(name: string, mountinfo: string): Cgroups | undefined {
  const mount = mountinfo
    .split("\n")
    .find((line) => line.includes(" - cgroup2 "))
    ?.split(" ")[4]
  if (mount === undefined) return undefined
  const wanted = ["cpu", "memory", "pids"]
  const offered = readFileSync(path.join(mount, "cgroup.controllers"), "utf8").trim().split(" ")
  const controllers = wanted.filter((controller) => offered.includes(controller))
  if (controllers.length === 0) return undefined
  if (!writable(mount) || !passesDown(mount, controllers)) return undefined
  const root = path.join(mount, name)
  const enable = controllers.map((controller) => `+${controller}`).join(" ")
  return {
    version: "v2",
    ensure(id, limits) {
      const group = path.join(root, id)
      mkdirSync(root, { recursive: true })
      for (const above of [mount, root]) writeFileSync(path.join(above, "cgroup.subtree_control"), enable)
      mkdirSync(group, { recursive: true })
      const values = [
        ["cpu", "cpu.max", `${quotaUs(limits.cpuPercent)} ${periodUs}`],
        ["memory", "memory.max", `${limits.memoryMiB * 2 ** 20}`],
        ["pids", "pids.max", `${limits.threads}`],
      ] as const
      for (const [controller, file, value] of values) {
        if (controllers.includes(controller)) writeFileSync(path.join(group, file), value)
      }
      return [path.join(group, "cgroup.procs")]
    },
    limitCpu(id, cpuPercent) {
      if (!controllers.includes("cpu")) return false
      writeFileSync(path.join(root, id, "cpu.max"), `${quotaUs(cpuPercent)} ${periodUs}`)
      return true
    },
    remove: (id) => removeGroup(root, id),
  }
}

/**
 * A container's own group is no root and holds its processes: the kernel lets it pass nothing down
 * (https://docs.kernel.org/admin-guide/cgroup-v2.html, "No Internal Process Constraint").
 */
function passesDown(mount: string, controllers: readonly string[]): boolean {
  const words = (file: string) => {
    const place = path.join(mount, file)
    return existsSync(place) ? readFileSync(place, "utf8").split(/\s+/).filter(Boolean) : []
  }
  const isRoot = words("cgroup.type").length === 0
  const passed = words("cgroup.subtree_control")
  return isRoot || controllers.every((each) => passed.includes(each)) || words("cgroup.procs").length === 0
}

function writable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The group, and then its parent when it was the last. The kernel lets go of a dead process a little after its end. */
async function removeGroup(root: string, id: string): Promise<void> {
  for (let tries = 0; existsSync(path.join(root, id)); tries++) {
    try {
      rmdirSync(path.join(root, id))
    } catch (error) {
      if (tries === 200) throw error
      await sleep(5)
    }
  }
  const others = existsSync(root) && readdirSync(root, { withFileTypes: true }).some((entry) => entry.isDirectory())
  if (!others) {
    try {
      rmdirSync(root)
    } catch {
      // Another machine came in between, or the group was never made.
    }
  }
}
