/** Makes a template: boots a machine that is nobody, saves it when it waits for its identity, and tries one clone of it. */
import { execFile } from "node:child_process"
import { chownSync, closeSync, ftruncateSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { promisify } from "node:util"
import type { Identity, MachineSpec } from "../../types.ts"
import type { Machine } from "../machine.ts"
import { readConsole } from "../console-log.ts"
import { isObject, printable } from "../qmp.ts"
import type { Source, Workshop } from "../start.ts"
import { startMachine } from "../start.ts"
import { type Agent, connectAgent } from "./agent.ts"
import { type Clone, startClone } from "./clone.ts"
import { saveState } from "./state.ts"
import { diskName, type Template } from "./template-folder.ts"
import type { TemplateKey } from "./template-key.ts"
import { copyWhole } from "./whole-copy.ts"

const run = promisify(execFile)
/** A boot under emulation on a busy machine: by a direct kernel, and of a whole distribution. */
const bootMs = { kernel: 180_000, firmware: 600_000 } as const
const device = "warm0"

export interface Making {
  readonly key: TemplateKey
  readonly like: MachineSpec
  readonly uid: number
  /** Empty; what is made goes there. */
  readonly work: string
  /** Of the machine's process: removed at the end. */
  readonly directory: string
  readonly namespace: string
  readonly workshop: Workshop
  readonly agentMs: number
  /** Ends it early. */
  readonly signal: AbortSignal
}

/** Of a machine that nobody reaches: an address for documentation. */
export const nobody: Identity = {
  hostName: "template",
  authorizedKey: "",
  address: "192.0.2.2",
  prefixLength: 24,
  gateway: "192.0.2.1",
  resolver: "",
  userData: new Uint8Array(),
}

/** Writes ram.bin and state.bin. Leaves no process, namespace or other file, whatever happens. */
export async function makeTemplate(making: Making): Promise<void> {
  const { workshop, directory } = making
  await withMachine(making, async (spec) => {
    const memoryPath = path.join(making.work, "ram.bin")
    makeMemory(memoryPath, spec.memoryMiB, making.uid)
    const source: Source = { memory: { path: memoryPath, shared: true } }
    const machine = await startMachine(spec, directory, workshop, () => {}, source)
    const abandon = () => void machine.finish("killed")
    making.signal.addEventListener("abort", abandon)
    let agent: Agent | undefined
    try {
      agent = await connectAgent(path.join(directory, "sockets", "identity.sock"))
      await machine.resume()
      await agent.waiting(bootMs[spec.boot.kind])
      await machine.execute("stop")
      if (!keepsDisk(spec)) await refuseWrites(machine)
      const state = await saveState(machine, path.join(directory, "sockets"), making.uid)
      writeFileSync(path.join(making.work, "state.bin"), state, { mode: 0o600, flush: true })
      if (keepsDisk(spec)) {
        await machine.finish("requested")
        renameSync(diskOf(making), path.join(making.work, diskName))
      }
    } catch (error) {
      throw await withLastWords(machine, directory, error)
    } finally {
      making.signal.removeEventListener("abort", abandon)
      agent?.close()
      await endMachine(machine)
    }
  })
}

/** Whether clones come to life: the way is an unstable one of QEMU's, and the image may not be ours. */
export async function tryTemplate(making: Making, template: Template): Promise<void> {
  await withMachine(making, async (spec) => {
    let clone: Clone | undefined
    try {
      clone = await startClone(
        { ...spec, identity: nobody },
        making.directory,
        making.workshop,
        () => {},
        template,
        making.agentMs,
      )
      await clone.personalise()
    } finally {
      if (clone) await endMachine(clone.machine)
    }
  })
}

/** A whole system writes while it starts: then its disk is a part of the template. */
const keepsDisk = ({ boot }: Pick<MachineSpec, "boot">): boolean => boot.kind === "firmware"

/** What clones of a copy begin with stands on nothing, as they do. */
const isAlone = (key: TemplateKey, like: MachineSpec): boolean => key.copy && keepsDisk(like)

async function makeDisk(making: Pick<Making, "key" | "like">, disk: string): Promise<void> {
  const { imagePath, diskBytes } = making.key
  if (isAlone(making.key, making.like)) return await copyWhole(imagePath, disk, diskBytes)
  const backing = ["-b", imagePath, "-F", "qcow2"]
  await run("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, disk, `${diskBytes}`], { timeout: 20_000 })
}

const diskOf = (making: Making) => path.join(making.work, "machine.qcow2")

async function withMachine(making: Making, work: (spec: MachineSpec) => Promise<void>): Promise<void> {
  const { key, like, uid, namespace, directory, workshop } = making
  // By its asset tag a guest knows that it is to wait, and whether its disk was somebody's. Agents that do not know these boot.
  const id = `${key.copy ? "made" : "warm"}-${key.key.slice(0, 16)}`
  const disk = diskOf(making)
  const clear = async () => {
    rmSync(disk, { force: true })
    rmSync(directory, { recursive: true, force: true })
    await workshop.cgroups.remove(id)
    await removeNamespace(namespace)
  }
  await clear()
  try {
    await makeDisk(making, disk)
    chownSync(disk, uid, uid)
    await run("ip", ["netns", "add", namespace], { timeout: 10_000 })
    const tap = ["tuntap", "add", "dev", device, "mode", "tap", "user", `${uid}`, "group", `${uid}`, "vnet_hdr"]
    await run("ip", ["-n", namespace, ...tap], { timeout: 10_000 })
    await run("ip", ["-n", namespace, "link", "set", device, "up"], { timeout: 10_000 })
    making.signal.throwIfAborted()
    const { identity: _, ...rest } = like
    const [first] = like.nics
    await work({
      ...rest,
      id,
      uid,
      uuid: "ec200000-0000-4000-8000-000000000000",
      // Not encrypted, whatever the other is: it is empty, and of the image.
      disks: like.disks.map(({ id: name, serial, bootIndex }) => ({
        id: name,
        serial,
        path: disk,
        format: "qcow2",
        ...(isAlone(key, like)
          ? { copyOf: key.imagePath }
          : { backing: { path: key.imagePath, format: "qcow2" as const } }),
        ...(bootIndex === undefined ? {} : { bootIndex }),
      })),
      nics: first ? [{ ...first, device, namespace, mac: "02:00:00:00:00:02" }] : [],
    })
  } finally {
    await clear()
  }
}

export async function removeNamespace(namespace: string): Promise<void> {
  await run("ip", ["netns", "del", namespace], { timeout: 10_000 }).catch(() => {})
}

function makeMemory(file: string, memoryMiB: number, uid: number): void {
  const fd = openSync(file, "wx", 0o600)
  ftruncateSync(fd, memoryMiB * 2 ** 20)
  closeSync(fd)
  chownSync(file, uid, uid)
}

/** A clone's disk is a new one of the image, so the template must know nothing that is not there. */
async function refuseWrites(machine: Machine): Promise<void> {
  const devices = await machine.query("query-blockstats")
  if (!Array.isArray(devices)) throw new Error("QEMU does not tell what was written")
  for (const each of devices) {
    const stats: unknown = isObject(each) ? each["stats"] : undefined
    if (!isObject(stats) || stats["wr_operations"] !== 0)
      throw new Error("the image writes to its disk before it is told who it is")
  }
}

async function withLastWords(machine: Machine, directory: string, error: unknown): Promise<Error> {
  await machine.drain().catch(() => {})
  const words = readConsole(directory, 400).toString("latin1")
  const why = error instanceof Error ? error.message : String(error)
  return new Error(`${why}; the console's end: ${printable(words)}`, { cause: error })
}

async function endMachine(machine: Machine): Promise<void> {
  await machine.finish("requested").finally(() => machine.detach())
}
