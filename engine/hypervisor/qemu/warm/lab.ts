/** For the tests with real clones: an image, a network namespace with a tap for each machine, an engine over a folder of its own. */
import { execFile, execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { microImage } from "#images/catalog.ts"
import { buildImage } from "#images/build.ts"
import { microRecipe } from "#images/micro/recipe.ts"
import { systemClock } from "#lib/clock.ts"
import { tracing } from "#lib/trace.ts"
import type { HypervisorEngine, Identity, MachineSpec, WarmTemplates } from "../../types.ts"
import { openQemu } from "../driver.ts"

export const templateUid = 2_099_990
const gateway = "192.0.2.1"
const run = promisify(execFile)

export type WarmEngine = HypervisorEngine & { readonly templates: WarmTemplates }

export interface Lab {
  readonly home: string
  readonly prefix: string
  readonly templates: string
  open(agentMs?: number): Promise<WarmEngine>
  /** A machine with a new disk of the image, the number-th tap and address, and an identity. */
  spec(number: number, id: string, userData?: string): MachineSpec & { readonly identity: Identity }
  /** Gives the number-th machine another tap in place of its own. */
  plug(number: number, tap: { readonly device: string; readonly namespace: string } | undefined): void
  /** Runs a program in the namespace that the taps stand in. */
  readonly inside: (...command: string[]) => Promise<string>
  readonly ssh: (number: number, command: string) => Promise<string>
  /** Program and arguments of that. */
  readonly sshWords: (number: number, command: string) => readonly [string, ...string[]]
  cleanUp(): void
}

/** `image`: a folder with another image's disk, beside the micro image's kernel. */
export async function warmLab(name: string, changeDisk?: (disk: string) => void): Promise<Lab> {
  const home = mkdtempSync(path.join(tmpdir(), `fr-${name}-`))
  const prefix = path.basename(home)
  const image = await buildImage(microRecipe, { directory: path.join(home, "images") })
  let backing = image.diskPath
  if (changeDisk) {
    const raw = path.join(home, "changed.raw")
    backing = path.join(home, "changed.qcow2")
    execFileSync("qemu-img", ["convert", "-O", "raw", image.diskPath, raw])
    changeDisk(raw)
    execFileSync("qemu-img", ["convert", "-O", "qcow2", raw, backing])
    rmSync(raw)
  }
  const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" })
  ip("netns", "add", prefix)
  mkdirSync(path.join(home, "state"))
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path.join(home, "key")])
  const authorizedKey = execFileSync("cat", [path.join(home, "key.pub")], { encoding: "utf8" }).trim()
  const options = { runDirectory: path.join(home, "run"), stateDirectory: path.join(home, "state"), prefix }
  const inside = async (...command: string[]) =>
    (await run("ip", ["netns", "exec", prefix, ...command], { timeout: 60_000 })).stdout
  const sshWords: Lab["sshWords"] = (number, command) => {
    const words = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    const settings = [...words, "ConnectTimeout=30"].flatMap((word) => ["-o", word])
    const where = `${microImage.loginUser}@192.0.2.${10 + number}`
    return [
      "ip",
      "netns",
      "exec",
      prefix,
      "ssh",
      "-F",
      "none",
      "-i",
      path.join(home, "key"),
      ...settings,
      where,
      command,
    ]
  }
  return {
    home,
    prefix,
    templates: path.join(home, "state", "templates"),
    inside,
    async open(agentMs) {
      const limits = agentMs === undefined ? {} : { agentMs }
      const engine = await openQemu({ ...options, ...limits, clock: systemClock(), log: () => {} })
      if (!engine.templates) throw new Error("no templates")
      return { ...engine, templates: engine.templates }
    },
    spec(number, id, userData = "") {
      const disk = path.join(home, `${id}.qcow2`)
      const [device, address, uid] = [`tap${number}`, `192.0.2.${10 + number}`, 2_099_990 + number]
      rmSync(disk, { force: true })
      execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, disk])
      if (!ip("-n", prefix, "link", "show").includes(`${device}:`)) {
        ip("-n", prefix, "tuntap", "add", "dev", device, "mode", "tap", "user", `${uid}`, "vnet_hdr")
        ip("-n", prefix, "link", "set", device, "up")
        ip("-n", prefix, "addr", "add", `${gateway}/32`, "dev", device)
        ip("-n", prefix, "route", "add", `${address}/32`, "dev", device)
      }
      const uuid = `ec2c0de0-0000-4000-8000-${`${number}`.padStart(12, "0")}`
      const mac = `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`
      return {
        id,
        architecture: "x86_64",
        vcpus: 1,
        memoryMiB: 128,
        uid,
        uuid,
        manufacturer: "Example",
        product: "warm",
        nics: [{ id: "eni-1", mac, mtu: 1500, device, namespace: prefix }],
        boot: { kind: "kernel", ...image },
        disks: [
          {
            id: `vol-${number}`,
            serial: "volroot",
            path: disk,
            format: "qcow2",
            backing: { path: backing, format: "qcow2" },
            bootIndex: 0,
          },
        ],
        identity: {
          hostName: `clone-${number}`,
          authorizedKey,
          address,
          prefixLength: 24,
          gateway,
          resolver: `nameserver ${gateway}\n`,
          userData: Buffer.from(userData),
        },
      }
    },
    plug(number, tap) {
      if (!tap) throw new Error("it brings no tap")
      const [device, address] = [`tap${number}`, `192.0.2.${10 + number}`]
      if (ip("-n", prefix, "link", "show").includes(`${device}:`)) ip("-n", prefix, "link", "del", device)
      ip("-n", tap.namespace, "link", "set", tap.device, "netns", prefix, "name", device)
      ip("-n", prefix, "link", "set", device, "up")
      ip("-n", prefix, "addr", "add", `${gateway}/32`, "dev", device)
      ip("-n", prefix, "route", "add", `${address}/32`, "dev", device)
    },
    ssh: async (number, command) => {
      const [program, ...words] = sshWords(number, command)
      return (await run(program, words, { timeout: 60_000 })).stdout
    },
    sshWords,
    cleanUp() {
      ip("netns", "del", prefix)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Prepares a machine and gives the line of the trace that says which way it went. */
export async function prepareTraced(engine: HypervisorEngine, spec: MachineSpec): Promise<string> {
  const said: string[] = []
  await tracing(
    (_level, what) => void said.push(what),
    () => engine.prepare(spec),
  )
  return said.filter((line) => /^(boots|clones)/.test(line)).join("; ")
}

export async function endAll(engine: HypervisorEngine): Promise<void> {
  for (const id of await engine.list()) {
    await engine.kill(id)
    await engine.remove(id)
  }
}
