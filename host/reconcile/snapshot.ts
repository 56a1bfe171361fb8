/**
 * A snapshot is there, made with its set while their guest stands still or is shut down; or it is gone, once nothing is to be made of it.
 * Killed anywhere, the next look begins anew: what was half made is swept away by the storage engine, and a guest is started by its own pass.
 */
import type { SnapshotAssignment, Trouble } from "../protocol/types.ts"
import { isAlive } from "./guest-scene.ts"
import { type Outcome, troubleOf, TroubleError } from "./steps.ts"
import type { Pass, World } from "./world.ts"

/** Failures after which it is given up: whoever waits for it is to be told, and its guest to run. */
const mostFailures = 3
/** A guest that is being started is looked at again that soon. */
const lookMs = 500

export async function reconcileSnapshot(pass: Pass): Promise<Outcome> {
  const { entry, world, report } = pass
  const { resource, wish } = entry
  if (wish?.kind !== "snapshot") return remove(pass)
  if (!(await world.storage.hasSnapshot(resource))) {
    report({ kind: "snapshot", phase: "pending" })
    const outcome = await make(wish, world).catch((error: unknown) => {
      throw givenUp(error, entry.work.failures)
    })
    if (outcome) return outcome
  }
  entry.applied = new Map()
  report({ kind: "snapshot", phase: "ready" })
  return { kind: "settled" }
}

async function make({ set, guest, atRest, from }: SnapshotAssignment, world: World): Promise<Outcome | undefined> {
  const { hypervisor, images, storage } = world
  if (set.length === 0) throw new TroubleError("no-source", "its bytes are gone from this host", true)
  if ("image" in from && !(await storage.hasImage(from.image))) {
    const image = await images.find(from.image)
    if (!image?.diskPath) throw new TroubleError("no-image", `image ${from.image} is not on this host`, true)
    await storage.importImage(from.image, image.diskPath)
  }
  if (guest === undefined) {
    await storage.createSnapshots(set, (work) => work())
    return undefined
  }
  const machine = await hypervisor.inspect(guest)
  if (isAlive(machine) && atRest) {
    world.kick(guest)
    return { kind: "waiting", resource: guest }
  }
  if (machine.phase === "prepared") return { kind: "again", delayMs: lookMs }
  await storage.createSnapshots(set, (work) => hypervisor.whileStill(guest, work))
  return undefined
}

/** A source that is gone, a disk that is full and a key that is lost stay so; anything else is tried again, but not for ever. */
function givenUp(error: unknown, failures: number): TroubleError {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined
  const known: Trouble = troubleOf(error)
  const { message } = known
  if (code === "not-found" || code === "invalid") return new TroubleError("no-source", message, true)
  const final = known.final || known.code === "disk-full" || failures + 1 >= mostFailures
  return new TroubleError(known.code, known.code === "disk-full" ? "no space left on the host's disk" : message, final)
}

async function remove({ entry, world, report }: Pass): Promise<Outcome> {
  const { resource } = entry
  report({ kind: "snapshot", phase: "pending" })
  const user = world.takenFrom(resource)
  if (user !== undefined) return { kind: "waiting", resource: user }
  await world.storage.removeSnapshot(resource)
  report({ kind: "snapshot", phase: "absent" })
  return { kind: "gone" }
}
