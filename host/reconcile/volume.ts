/** A volume is there, with the bytes of its image; or it is gone, once no guest holds it. */
import type { VolumeAssignment } from "../protocol/types.ts"
import { runSteps, TroubleError, type Outcome, type Step } from "./steps.ts"
import type { Pass, World } from "./world.ts"

interface Scene {
  readonly spec: VolumeAssignment
  readonly world: World
}

const steps: readonly Step<Scene>[] = [
  {
    name: "image",
    holds: async ({ spec, world: { storage } }) =>
      spec.image === undefined || (await storage.hasVolume(spec.id)) || (await storage.hasImage(spec.image)),
    make: async ({ spec, world: { storage, images } }) => {
      const image = await images.find(spec.image!)
      if (!image?.diskPath) throw new TroubleError("no-image", `image ${spec.image} is not on this host`, true)
      await storage.importImage(spec.image!, image.diskPath)
    },
  },
  {
    name: "volume",
    holds: ({ spec, world: { storage } }) => storage.hasVolume(spec.id),
    make: ({ spec, world: { storage } }) => storage.createVolume(spec),
  },
]

type Storage = World["storage"]

/** As new, whatever was written to it. Ended in the middle, the next look at the volume goes on. */
export async function renewVolume(spec: VolumeAssignment, storage: Storage): Promise<void> {
  await storage.removeVolume(spec.id)
  await storage.createVolume(spec)
}

export async function reconcileVolume(pass: Pass): Promise<Outcome> {
  const { entry, world, report } = pass
  const spec = entry.wish
  if (spec?.kind === "volume") {
    const outcome = await runSteps(steps, { spec, world }, pass.superseded)
    if (outcome.kind === "settled") {
      entry.applied = new Map()
      report({ kind: "volume", phase: "ready" })
    }
    return outcome
  }
  const holder = world.holder(entry.resource) ?? world.takenFrom(entry.resource)
  report({ kind: "volume", phase: "pending" })
  if (holder !== undefined) return { kind: "waiting", resource: holder }
  entry.applied = undefined
  if (await world.storage.hasVolume(entry.resource)) await world.storage.removeVolume(entry.resource)
  report({ kind: "volume", phase: "absent" })
  return { kind: "gone" }
}
