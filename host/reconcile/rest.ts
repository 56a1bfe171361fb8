/** A guest that is shut down for the moment in which snapshots are made of its disks, and started again: CreateImage without NoReboot. */
import { isAlive, type StartScene } from "./guest-scene.ts"
import type { Outcome } from "./steps.ts"

interface Means {
  /** Undefined: it has ended. */
  readonly end: () => Promise<Outcome | undefined>
  readonly release: () => Promise<void>
}

/** Ends a guest that a snapshot wants at rest, and keeps it down until that is made or given up. Undefined: nobody wants that. */
export async function beAtRest(scene: StartScene, { end, release }: Means): Promise<Outcome | undefined> {
  const { id, record, machine, world } = scene
  const snapshot = world.restFor(id)
  if (snapshot === undefined || !record || !(isAlive(machine) || record.resting)) return undefined
  if (!record.resting) {
    // First: whoever finds it ended knows that nobody asked for that.
    scene.record = { ...record, resting: true }
    await world.records.write(id, scene.record)
  }
  const outcome = await end()
  if (outcome) return outcome
  await release()
  world.wake(id)
  return { kind: "waiting", resource: snapshot }
}

/** Its start then counts as not carried out. */
export async function restIsOver(scene: StartScene): Promise<void> {
  const { id, record, machine, wish, world } = scene
  if (!record?.resting) return
  const { resting: _, cause: _cause, ...rest } = record
  const again = !isAlive(machine) && record.starts === wish.starts
  scene.record = { ...rest, ...(again && { starts: wish.starts - 1 }) }
  await world.records.write(id, scene.record)
}
