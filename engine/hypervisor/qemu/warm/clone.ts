/** A machine that begins as a copy of a template, and becomes itself when it first runs. */
import path from "node:path"
import { timed } from "#lib/trace.ts"
import { type MachineSpec, NotPersonalised } from "../../types.ts"
import type { Machine } from "../machine.ts"
import { startMachine, type Workshop } from "../start.ts"
import { type Agent, connectAgent } from "./agent.ts"
import { loadState } from "./state.ts"
import type { Template } from "./template-folder.ts"

export interface Clone {
  /** "prepared", until it is personalised. */
  readonly machine: Machine
  readonly template: string
  /** Resolves when it is who it is to be, and can go on. Throws NotPersonalised; it is to be ended then. */
  personalise(): Promise<void>
}

const agentPath = (directory: string) => path.join(directory, "sockets", "identity.sock")

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
  const become = async (started: Machine, fd: number) => {
    await timed(
      "command",
      () => "template: state",
      () => loadState(started, fd),
    )
    await timed(
      "command",
      () => "agent: identity",
      () => Promise.all([started.resume(), agent?.tell(full, workshop.clock, agentMs)]),
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
  const machine = await startMachine(spec, directory, workshop, onChange, source)
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
