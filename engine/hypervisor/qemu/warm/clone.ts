/** A machine that begins as a copy of a template, and becomes itself when it first runs. */
import { constants, readFileSync, statSync, writeFileSync } from "node:fs"
import { copyFile } from "node:fs/promises"
import path from "node:path"
import { timed } from "#lib/trace.ts"
import { type Disk, type MachineSpec, NotPersonalised, type TapPlace } from "../../types.ts"
import type { Machine } from "../machine.ts"
import { startMachine, type Workshop } from "../start.ts"
import { type Agent, connectAgent } from "./agent.ts"
import { loadState } from "./state.ts"
import type { Template } from "./template-folder.ts"
import { readOverlay } from "./template-key.ts"
import { copyWhole } from "./whole-copy.ts"

export interface Clone {
  /** "prepared", until it is personalised. */
  readonly machine: Machine
  readonly template: string
  /** It waited in the pool, and brings its tap: what goes wrong says nothing of its template. */
  readonly tap?: TapPlace
  /** It is somebody, or nobody any more: its tap has been moved, or is not needed. */
  readonly left?: () => void
  /** Resolves when it is who it is to be, and can go on. Throws NotPersonalised; it is to be ended then. */
  personalise(): Promise<void>
}

/** A whole distribution has more to do when it wakes than a small guest. */
const wholePatience = 3
export const patienceOf = ({ boot }: Pick<MachineSpec, "boot">): number =>
  boot.kind === "firmware" ? wholePatience : 1

/** An overlay of nothing is a few hundred KB. */
const emptyLimitBytes = 4 << 20

/**
 * Gives the machine's untouched disk the content of the template's, which stands on the same image or, as a copy, on nothing, and gives what undoes
 * that. A clone that ends as nobody has its disk made anew by whoever asked for it ("nameless"). Whoever stops us in between leaves a disk that boots
 * as one of an image made of the template would: it holds nobody's identity.
 */
export async function copyDisk(from: string, { id, disks: [disk] }: MachineSpec): Promise<() => Promise<void>> {
  if (!disk) throw new Error(`machine ${id} has no disk`)
  const takeBack = await keepFresh(id, disk)
  try {
    await timed(
      "command",
      () => "copies the template's disk",
      () => copyFile(from, disk.path, constants.COPYFILE_FICLONE),
    )
  } catch (error) {
    await takeBack()
    throw error
  }
  return takeBack
}

/** How a disk becomes again what it is now. */
async function keepFresh(id: string, { path: file, copyOf }: Disk): Promise<() => Promise<void>> {
  if (copyOf === undefined) {
    if (statSync(file).size > emptyLimitBytes) throw new Error(`machine ${id}: its disk is not a new one`)
    const fresh = readFileSync(file)
    return async () => writeFileSync(file, fresh)
  }
  const { diskBytes } = readOverlay(file)
  return () => copyWhole(copyOf, file, diskBytes)
}

export const agentPath = (directory: string) => path.join(directory, "sockets", "identity.sock")

/** For a clone that was told who it is, and by somebody who was then killed: said twice, nobody listens to the second. */
export async function goOn(machine: Machine, directory: string): Promise<void> {
  const agent = await connectAgent(agentPath(directory))
  await agent.go()
  machine.cloned("told")
}

/**
 * As `startMachine`; the specification has an identity. Resolves when the process answers: its state is loaded and it is told who it
 * is while whoever asked does what else a start needs. It runs nothing but the agent until `personalise` lets it go on.
 */
export async function startClone(
  spec: MachineSpec,
  directory: string,
  workshop: Workshop,
  onChange: () => void,
  template: Template,
  agentMs: number,
): Promise<Clone> {
  const { identity, nics, uuid, id: instance } = spec
  if (!identity || !nics[0]) throw new Error(`machine ${spec.id}: a clone has an identity and an interface`)
  const full = { ...identity, instance, uuid, mac: nics[0].mac }
  let agent: Agent | undefined
  const tellMs = agentMs * patienceOf(spec)
  const become = async (started: Machine, fd: number) => {
    await timed(
      "command",
      () => "template: state",
      () => loadState(started, fd),
    )
    await timed(
      "command",
      () => "agent: identity",
      () => Promise.all([started.resume(), agent?.tell(full, workshop.clock, tellMs)]),
    )
  }
  let named: Promise<void> | undefined
  const load = async (started: Machine, fd: number) => {
    // Before the state: the template was saved with somebody at this end.
    agent = await connectAgent(agentPath(directory))
    named = become(started, fd)
    // Told to whoever personalises it.
    named.catch(() => {})
  }
  const source = {
    memory: { path: template.memory.path, shared: false },
    state: { path: template.state.path, load },
  }
  const takeBack = template.diskPath === undefined ? async () => {} : await copyDisk(template.diskPath, spec)
  const machine = await startMachine(spec, directory, workshop, onChange, source).catch(async (error: unknown) => {
    await takeBack()
    throw error
  })
  const personalise = async () => {
    try {
      await named
      machine.cloned("named")
      await agent?.go()
      machine.cloned("told")
    } catch (error) {
      agent?.close()
      throw error instanceof NotPersonalised ? error : new NotPersonalised(String(error), { cause: error })
    }
  }
  return { machine, template: template.key, personalise }
}
