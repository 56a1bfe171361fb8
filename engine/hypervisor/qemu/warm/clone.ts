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
  /**
   * Lets it run and tells it who it is. Throws NotPersonalised when it is not that within `timeoutMs`; it is to be ended then.
   */
  personalise(timeoutMs: number): Promise<void>
}

const agentPath = (directory: string) => path.join(directory, "sockets", "identity.sock")

/** For a clone that was told who it is, and by somebody who was then killed: said twice, nobody listens to the second. */
export async function goOn(machine: Machine, directory: string): Promise<void> {
  const agent = await connectAgent(agentPath(directory))
  await agent.go()
  machine.cloned("told")
}

/** As `startMachine`; the specification has an identity. */
export async function startClone(
  spec: MachineSpec,
  directory: string,
  workshop: Workshop,
  onChange: () => void,
  template: Template,
): Promise<Clone> {
  const { identity, nics, uuid, id: instance } = spec
  if (!identity || !nics[0]) throw new Error(`machine ${spec.id}: a clone has an identity and an interface`)
  const full = { ...identity, instance, uuid, mac: nics[0].mac }
  let agent: Agent | undefined
  const load = async (started: Machine, fd: number) => {
    // Before the state: the template was saved with somebody at this end.
    agent = await connectAgent(agentPath(directory))
    await loadState(started, fd)
  }
  const source = {
    memory: { path: template.memory.path, shared: false },
    state: { path: template.state.path, load },
  }
  const machine = await startMachine(spec, directory, workshop, onChange, source)
  const tell = async (timeoutMs: number) => {
    try {
      if (!agent) throw new NotPersonalised("there is no way to its agent")
      const runs = machine.resume()
      await Promise.all([runs, agent.tell(full, workshop.clock.wallMs(), timeoutMs)])
      machine.cloned("named")
      await agent.go()
      machine.cloned("told")
    } catch (error) {
      agent?.close()
      throw error instanceof NotPersonalised ? error : new NotPersonalised(String(error), { cause: error })
    }
  }
  return {
    machine,
    template: template.key,
    personalise: (timeoutMs) =>
      timed(
        "command",
        () => "agent: identity",
        () => tell(timeoutMs),
      ),
  }
}
