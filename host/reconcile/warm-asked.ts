/** Templates that somebody asks for: `fractus image warm`. Answers at once; whoever asks comes back for the outcome. */
import { randomUUID } from "node:crypto"
import type { MachineSpec, WarmTemplates } from "#engine/hypervisor/types.ts"
import type { WarmAnswer, WarmKind } from "../protocol/types.ts"
import type { HostOptions } from "../types.ts"

export interface WarmAskedOptions {
  readonly templates: WarmTemplates
  readonly uid: number
  /** Of guests' interfaces. */
  readonly mtu: number
  readonly identity: { readonly manufacturer: string; readonly product: string }
  readonly engines: Pick<HostOptions, "images" | "storage">
}

/** Kinds that are being made at the same time. */
const askedLimit = 16

export function createWarmAsked(options: WarmAskedOptions): (kind: WarmKind) => Promise<WarmAnswer> {
  const answers = new Map<string, WarmAnswer>()
  return async (kind) => {
    const name = JSON.stringify([kind.image, kind.vcpus, kind.memoryMiB])
    const known = answers.get(name)
    // An outcome is told once: the next to ask has it looked at again.
    if (known && known.state !== "making") answers.delete(name)
    if (known) return known
    if (answers.size >= askedLimit) return { state: "refused", why: "too many templates are asked for" }
    answers.set(name, { state: "making" })
    void makeLike(kind, options).then(
      () => answers.set(name, { state: "ready" }),
      (error: unknown) =>
        answers.set(name, { state: "refused", why: error instanceof Error ? error.message : String(error) }),
    )
    return { state: "making" }
  }
}

/** With a new volume of the image, as a launch would have; it is gone afterwards. */
async function makeLike(kind: WarmKind, { templates, uid, mtu, identity, engines }: WarmAskedOptions): Promise<void> {
  const { images, storage } = engines
  const image = await images.find(kind.image)
  if (!image) throw new Error(`image ${kind.image} is not on this host`)
  if (!(await storage.hasImage(kind.image)) && image.diskPath) await storage.importImage(kind.image, image.diskPath)
  const volume = `template-${randomUUID().slice(0, 8)}`
  const sizeBytes = Math.ceil((await storage.imageSize(kind.image)) / 2 ** 30) * 2 ** 30
  await storage.createVolume({ id: volume, sizeBytes, image: kind.image })
  try {
    const file = await storage.present(volume, uid)
    const like: MachineSpec = {
      id: "template",
      architecture: image.architecture,
      vcpus: kind.vcpus,
      memoryMiB: kind.memoryMiB,
      uuid: "ec200000-0000-4000-8000-000000000000",
      ...identity,
      boot: image.boot,
      disks: [{ id: volume, serial: "template", ...file, bootIndex: 0 }],
      nics: [{ id: "eni-template", mac: "02:00:00:00:00:02", mtu, device: "none", namespace: "none" }],
      uid,
    }
    if ((await templates.missing(like)) !== undefined) await templates.make(like, uid)
  } finally {
    await storage.removeVolume(volume)
  }
}
