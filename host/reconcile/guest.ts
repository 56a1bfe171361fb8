/** A guest as it should be: on, off or absent. What is really so is asked of the hypervisor at each pass. */
import type { GuestStatus } from "../protocol/types.ts"
import { infraAddress } from "../metadata.ts"
import { dropMemory, hibernate } from "./hibernate.ts"
import { counters, heldBy, isAlive, onStatus, type Memory, type Scene, type StartScene } from "./guest-scene.ts"
import { giveUpReserved } from "./guest-clone.ts"
import { beginRecovery, crashed, whyDown } from "./recovery.ts"
import { beAtRest, restIsOver } from "./rest.ts"
import { startSteps } from "./guest-start.ts"
import { runSteps, type Outcome } from "./steps.ts"
import { renewVolume } from "./volume.ts"
import type { Pass } from "./world.ts"

/** A guest that is still booting misses the power button: it is pressed again after this much cloud time. */
const repeatMs = 10_000

export function createGuestReconciler(): (pass: Pass) => Promise<Outcome> {
  const memories = new Map<string, Memory>()
  return async (pass) => {
    const { entry, world } = pass
    const id = entry.resource
    const memory = memories.get(id) ?? {}
    memories.set(id, memory)
    const record = await world.records.read(id)
    const machine = await world.hypervisor.inspect(id)
    const wish = entry.wish?.kind === "guest" ? entry.wish : undefined
    if (!memory.released) entry.holds = heldBy(record)
    const scene: Scene = {
      ...pass,
      id,
      wish,
      memory,
      record,
      machine,
      disks: undefined,
      nics: undefined,
    }
    if (!wish) {
      const outcome = await absent(scene)
      if (outcome.kind === "gone") memories.delete(id)
      return outcome
    }
    return wish.power === "off" ? off(scene) : on({ ...scene, wish })
  }
}

async function on(scene: StartScene): Promise<Outcome> {
  const { wish, machine, report, world } = scene
  if (machine.phase === "exited" && machine.cause === "nameless") return forgetClone(scene)
  const rest = await beAtRest(scene, { end: () => end(scene, false), release: () => release(scene) })
  if (rest) return rest
  await restIsOver(scene)
  const { record } = scene
  const current = record?.bootId === world.bootId ? record : undefined
  const earlier = current !== undefined && current.starts >= 0 && current.starts < wish.starts
  if (earlier && (machine.phase === "running" || machine.phase === "paused")) {
    // An "off" between the two starts was never carried out: this is still the run before it.
    return (await end(scene, wish.force)) ?? { kind: "again", delayMs: 0 }
  }
  // Before its next start it gives back what that start does not take: a disk that was replaced.
  if (earlier && !isAlive(machine) && givesUp(scene)) await release(scene)
  // Begun by a process of ours that was killed: the tap that it gave it may be that of a clone that is no more.
  if (record?.starts === -1 && machine.phase === "absent" && !scene.memory.known) await release(scene)
  scene.memory.known = true
  if (machine.phase === "exited" && current?.starts === wish.starts) {
    await release(scene)
    const why = crashed(scene) ? whyDown(scene) : undefined
    if (why !== undefined || !crashed(scene)) {
      const trouble = why === undefined ? {} : { trouble: { code: "crashed", message: why, final: true } as const }
      report({ ...offStatus(scene), ...trouble })
      return { kind: "settled" }
    }
    report({ kind: "guest", phase: "starting", starts: wish.starts, resets: wish.resets })
    await beginRecovery(scene)
  }
  delete scene.memory.askedMs
  if (machine.phase !== "running" && machine.phase !== "paused") {
    report({ kind: "guest", phase: "starting", starts: wish.starts, resets: wish.resets })
  }
  const outcome = await runSteps(startSteps, scene, scene.superseded)
  if (outcome.kind === "settled") report(onStatus(scene))
  return outcome
}

const givesUp = ({ record, wish }: StartScene): boolean =>
  record?.volumes.some((volume) => !wish.disks.some((disk) => disk.volume === volume)) === true

/** What ended was a clone that was nobody yet: its disks were new when it began, and are made so again. */
async function forgetClone(scene: StartScene): Promise<Outcome> {
  const { id, wish, memory, world } = scene
  const { refused } = memory
  await release(scene)
  for (const { volume } of wish.disks) {
    const spec = world.entry(volume)?.wish
    if (spec?.kind === "volume") await renewVolume(spec, world.storage)
  }
  // Last: until then the next process of ours finds out the same.
  await world.hypervisor.remove(id)
  if (refused !== undefined) memory.refused = refused
  return { kind: "again", delayMs: 0 }
}

async function off(scene: Scene): Promise<Outcome> {
  const { id, world, wish } = scene
  const outcome = await end(scene, wish?.force ?? false)
  if (outcome) return outcome
  await release(scene)
  if (wish?.hibernate !== true) await dropMemory(scene)
  const hibernated = await world.memories.has(id)
  if (hibernated && scene.record && scene.record.hibernated !== true) {
    scene.record = { ...scene.record, hibernated }
    await world.records.write(id, scene.record)
  }
  scene.report({ ...offStatus(scene), ...(hibernated && { hibernated }) })
  return { kind: "settled" }
}

async function absent(scene: Scene): Promise<Outcome> {
  const { id, world, report } = scene
  const outcome = await end(scene, true)
  if (outcome) return outcome
  await release(scene)
  await dropMemory(scene)
  if (scene.machine.phase !== "absent") await world.hypervisor.remove(id)
  await world.records.remove(id)
  report({ kind: "guest", phase: "absent", ...counters(scene) })
  return { kind: "gone" }
}

/** End the process: keep its memory where that is wished, or ask, ask again, and at the deadline, or with force, kill. Undefined when it has ended. */
async function end(scene: Scene, force: boolean): Promise<Outcome | undefined> {
  const { id, memory, machine, world, report } = scene
  if (!isAlive(machine) && !memory.saving) return undefined
  report({ kind: "guest", phase: "stopping", ...counters(scene), ...(machine.pid ? { pid: machine.pid } : {}) })
  if (scene.record && scene.record.cause === undefined) {
    scene.record = { ...scene.record, cause: "requested" }
    await world.records.write(id, scene.record)
  }
  if (scene.wish?.hibernate === true && !force) {
    const outcome = await hibernate(scene)
    if (outcome) return outcome
    if (!isAlive(scene.machine)) return undefined
  }
  const nowMs = world.clock.cloudMs()
  const leftMs = (memory.askedMs ?? nowMs) + world.shutdownMs - nowMs
  if (!force && scene.machine.phase === "running" && leftMs > 0) {
    if (memory.repeatedMs === undefined || memory.askedMs === undefined || nowMs - memory.repeatedMs >= repeatMs) {
      memory.askedMs ??= nowMs
      memory.repeatedMs = nowMs
      await world.hypervisor.requestShutdown(id)
    }
    return { kind: "again", delayMs: Math.min(leftMs, repeatMs) / world.clock.speed }
  }
  await world.hypervisor.kill(id)
  scene.machine = await world.hypervisor.inspect(id)
  return isAlive(scene.machine) ? { kind: "again", delayMs: 100 } : undefined
}

/** Give back what the process held. */
async function release(scene: Scene): Promise<void> {
  const { record, memory, world, entry } = scene
  if (memory.released) return
  await giveUpReserved(scene)
  for (const { network, port, number } of record?.ports ?? []) {
    await world.network.removePort(network, port, number)
    await world.metadata.remove(infraAddress(number))
  }
  for (const volume of record?.volumes ?? []) {
    if (await world.storage.hasVolume(volume)) await world.storage.release(volume)
  }
  if (record) {
    // Forgotten, lest a later look gives back what another guest has taken since.
    scene.record = { ...record, volumes: [], ports: [] }
    await world.records.write(scene.id, scene.record)
  }
  entry.holds = new Set()
  delete memory.document
  delete memory.pluggedPid
  delete memory.made
  delete memory.askedMs
  delete memory.refused
  delete memory.noneWaits
  memory.released = true
}

function offStatus(scene: Scene): GuestStatus {
  const ended = scene.machine.cause === "nameless" ? undefined : scene.machine.cause
  const cause = scene.record?.cause ?? ended ?? (scene.wish?.power === "off" ? "requested" : "unknown")
  const lost = scene.wish?.hibernate === true ? scene.record?.notKept : undefined
  return { kind: "guest", phase: "off", ...counters(scene), cause, ...(lost !== undefined && { memoryLost: lost }) }
}
