/** A guest that is to be off with its memory kept. What cannot be kept is shut down instead, as on EC2. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Scene } from "./guest-scene.ts"
import { type Outcome, troubleOf } from "./steps.ts"

/** A newer wish is looked at that soon, however large the guest is. */
const lookMs = 1_000

/**
 * Saves a guest that runs. An outcome: it is at it. Undefined: it has ended, or its memory cannot be kept; the scene's record and machine
 * then say which.
 */
export async function hibernate(scene: Scene): Promise<Outcome | undefined> {
  const { id, memory, world, machine } = scene
  if (!memory.saving) {
    const still = machine.phase === "paused" && machine.cause === undefined
    if (scene.record?.notKept !== undefined || !(machine.phase === "running" || still)) return undefined
    const save = async () => world.hypervisor.hibernate(id, await world.memories.begin(id))
    memory.saving = save().then(
      () => undefined,
      (error: unknown) => troubleOf(error).message,
    )
  }
  const waited = Symbol("waited")
  const done = await Promise.race([memory.saving, sleep(lookMs, waited, { ref: false })])
  if (typeof done === "symbol") return { kind: "again", delayMs: 0 }
  delete memory.saving
  scene.machine = await world.hypervisor.inspect(id)
  if (done === undefined || !scene.record) return undefined
  // Written down, lest the next host hibernates a guest that is shutting down.
  scene.record = { ...scene.record, notKept: done }
  await world.records.write(id, scene.record)
  return undefined
}

/** After a kill: no save goes on, and none has left anything. */
export async function dropMemory({ id, memory, world }: Scene): Promise<void> {
  await memory.saving
  delete memory.saving
  await world.memories.forget(id)
}
