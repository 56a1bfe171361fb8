/** A machine's whole memory out of its process into an image, and out of an image into a new process. */
import { statSync } from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { shortened, timed } from "#lib/trace.ts"
import {
  type MemoryImage,
  readMemoryImage,
  removeMemoryImage,
  UnusableMemory,
  writeMemoryImage,
} from "../memory-image.ts"
import type { MachineSpec } from "../types.ts"
import { type Accelerator, hostCpu } from "./accelerator.ts"
import type { Machine } from "./machine.ts"
import { endMigration, leaveRamOut, migrateIn, migrateOut } from "./migration.ts"
import { isObject } from "./qmp.ts"
import { readRecord } from "./record.ts"
import { startMachine, type Workshop } from "./start.ts"

/** More than any disk takes: 0 would say "no limit" to some versions of QEMU, and "nothing" to others. */
const unlimitedBytes = 2 ** 50

/** What an image says of the machine it is of and of the host it was made on. */
interface Head {
  readonly machine: string
  readonly machineVersion: string
  readonly qemu: string
  readonly accelerator: string
  /** Under KVM the guest has seen this CPU; under TCG it has not. */
  readonly cpu: string
}

const headOf = (machine: string, machineVersion: string, { version: qemu, accelerator }: Accelerator): Head => ({
  machine,
  machineVersion,
  qemu,
  accelerator,
  cpu: accelerator === "kvm" ? hostCpu() : "",
})

/**
 * Saves a running machine and ends it. When this rejects, the machine runs as before or has ended, and there is no image. A machine
 * that an earlier process of ours left in the middle of this is saved anew.
 */
export async function hibernateMachine(
  id: string,
  machine: Machine,
  directory: string,
  image: MemoryImage,
  host: Accelerator,
): Promise<void> {
  removeMemoryImage(image.path)
  try {
    await endMigration(machine)
    // One that was saved already cannot be saved again before it has run.
    if (machine.state().phase === "paused") await machine.execute("cont")
    await machine.execute("stop")
    const sockets = path.join(directory, "sockets")
    const head = headOf(id, machine.state().machineVersion ?? "", host)
    // A clone of a template has loaded its state without RAM; here all of it counts.
    await leaveRamOut(machine, false)
    await machine.query("migrate-set-parameters", { "max-bandwidth": unlimitedBytes })
    await timed(
      "command",
      () => "save memory",
      () =>
        migrateOut(machine, sockets, statSync(sockets).uid, (stream, finished) =>
          writeMemoryImage(image, head, limited(stream, mostBytes(directory)), finished),
        ),
    )
    await machine.finish("requested")
  } catch (error) {
    removeMemoryImage(image.path)
    await goOn(machine)
    throw error
  }
}

/** What a machine can have to save: its RAM with a head for each page, the display's, and its devices'. */
function mostBytes(directory: string): number {
  const argv = readRecord(directory)?.argv ?? []
  const memoryMiB = Number.parseInt(argv[argv.indexOf("-m") + 1] ?? "", 10)
  return (memoryMiB * 1.02 + 256) * 2 ** 20
}

/** A guest that broke out of its machine could say more than that, and fill the disk. */
async function* limited(stream: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const bytes of stream) {
    size += bytes.length
    if (!(size <= most)) throw new Error(`it has more than ${most} bytes to save`)
    yield bytes
  }
}

/** The guest goes on, or its process is gone. */
async function goOn(machine: Machine): Promise<void> {
  try {
    await endMigration(machine)
    await machine.resume()
  } catch {
    // Why it could not be saved is said already; a machine that cannot go on is seen as such.
  }
}

/** As `startMachine`, with the memory of `image`. Throws UnusableMemory, and as `startMachine` does. */
export async function resumeMachine(
  spec: MachineSpec,
  directory: string,
  workshop: Workshop,
  onChange: () => void,
  image: MemoryImage,
): Promise<Machine> {
  const opened = await readMemoryImage(image)
  try {
    const head = readHead(opened.head)
    const refusal = whyNot(spec, head, workshop.host)
    if (refusal !== undefined) throw new UnusableMemory(refusal)
    const resume = async (machine: Machine) => {
      await timed(
        "command",
        () => "load memory",
        () => load(machine, path.join(directory, "sockets"), opened.rest),
      )
      machine.loaded()
    }
    const pinned = { ...spec, machineVersion: head.machineVersion }
    return await startMachine(pinned, directory, workshop, onChange, { resume }).catch(unsupported)
  } finally {
    await opened.close()
  }
}

/** What QEMU does not take it will not take later either. A machine that is only slow is tried again. */
async function load(machine: Machine, sockets: string, source: AsyncIterable<Buffer>): Promise<void> {
  try {
    await migrateIn(machine, sockets, source)
  } catch (error) {
    if (error instanceof UnusableMemory) throw error
    // QEMU ends when it cannot load, a moment after it said so.
    for (let look = 0; look < 50 && machine.cpuTime() !== undefined; look++) await sleep(20)
    const said = error instanceof Error ? error.message : String(error)
    if (machine.cpuTime() === undefined || /^loading: (?!stands)/.test(said))
      throw new UnusableMemory(`QEMU does not load it: ${shortened([said])}`)
    throw error
  }
}

function unsupported(error: unknown): never {
  if (error instanceof Error && /unsupported machine type/.test(error.message))
    throw new UnusableMemory("this QEMU does not know the machine version that it was saved with")
  throw error
}

function readHead(value: unknown): Head {
  const head = isObject(value) ? value : {}
  const text = (name: keyof Head) => {
    const found = head[name]
    return typeof found === "string" ? found : ""
  }
  return {
    machine: text("machine"),
    machineVersion: text("machineVersion"),
    qemu: text("qemu"),
    accelerator: text("accelerator"),
    cpu: text("cpu"),
  }
}

/** Why this host cannot go on with such an image, though it is whole. */
function whyNot(spec: MachineSpec, head: Head, host: Accelerator): string | undefined {
  const now = headOf(spec.id, head.machineVersion, host)
  if (head.machine !== now.machine) return "its image is of another machine"
  if (head.accelerator !== now.accelerator)
    return `it ran under ${head.accelerator}, and this host has ${now.accelerator}`
  if (head.cpu !== now.cpu) return "the host's CPU is another one"
  if (isOlder(now.qemu, head.qemu)) return `QEMU ${now.qemu} is older than ${head.qemu}, which saved it`
  return undefined
}

const isOlder = (one: string, two: string): boolean => {
  const [a, b] = [one, two].map((version) => version.split(".").map(Number))
  const at = [0, 1, 2].find((part) => a?.[part] !== b?.[part])
  return at !== undefined && (a?.[at] ?? 0) < (b?.[at] ?? 0)
}
