/** What a guest waits for: networks that stand, its volumes before its process is prepared, its ports before anything leads to them. */
import type { GuestSpec } from "../protocol/types.ts"
import { isAlive, onStatus, type StartScene as Scene } from "./guest-scene.ts"
import type { Outcome, Step } from "./steps.ts"

/** For a running guest, too: a change of its ports is in force before its generation is observed. */
export const networksReady: Step<Scene> = {
  name: "networks ready",
  holds: (scene) => missingNetwork(scene) === undefined,
  make: async (scene) => waitFor(scene, missingNetwork(scene)),
}

export const volumesReady: Step<Scene> = {
  name: "volumes ready",
  holds: (scene) => missingVolume(scene) === undefined,
  make: async (scene) => waitFor(scene, missingVolume(scene)),
}

/** Of a process that was prepared while its network changed. */
export const portsInForce: Step<Scene> = {
  name: "ports in force",
  holds: (scene) => notInForce(scene) === undefined,
  make: async (scene) => waitFor(scene, notInForce(scene)),
}

function waitFor(scene: Scene, resource: string | undefined): Outcome | void {
  if (resource === undefined) return
  const trouble = scene.world.entry(resource)?.status?.trouble
  if (trouble) {
    const { starts, resets } = scene.wish
    const runs = isAlive(scene.machine) && scene.machine.phase !== "prepared"
    const status = runs ? onStatus(scene) : { kind: "guest" as const, phase: "starting" as const, starts, resets }
    // A launch is not kept waiting for room; a guest that ran before has its volumes, and waits. Folders of the host are not said.
    const full = trouble.code === "disk-full" && (scene.record?.starts ?? -1) < 0
    const words = full
      ? { final: true, message: `${resource}: no space left on the host's disk` }
      : { message: `${resource}: ${trouble.message}` }
    scene.report({ ...status, trouble: { ...trouble, ...words } })
  }
  return { kind: "waiting", resource }
}

function missingVolume({ wish, world, machine }: Scene): string | undefined {
  if (isAlive(machine)) return undefined
  return wish.disks.find((disk) => world.entry(disk.volume)?.applied === undefined)?.volume
}

function missingNetwork(scene: Scene): string | undefined {
  const { wish, world, machine } = scene
  if (isAlive(machine)) return notInForce(scene)
  // One that stands gets its port while the process is prepared.
  const stands = ({ network }: GuestSpec["ports"][number]) => {
    const { applied, wish: now, status } = world.entry(network) ?? {}
    return now !== undefined && applied?.get(network) === JSON.stringify(now) && status?.trouble === undefined
  }
  return wish.ports.find((each) => !stands(each))?.network
}

/** The first network in which a port is not as it should be. */
function notInForce({ wish, world }: Scene): string | undefined {
  const inForce = ({ network, port }: GuestSpec["ports"][number]) =>
    world.entry(network)?.applied?.get(port.id) === JSON.stringify(port)
  return wish.ports.find((each) => !inForce(each))?.network
}
