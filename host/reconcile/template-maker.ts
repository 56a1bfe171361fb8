/** Makes a template of a kind of guest, with a new volume of its image, as a launch would have. */
import { randomUUID } from "node:crypto"
import type { MachineSpec, WarmTemplates } from "#engine/hypervisor/types.ts"
import type { WarmKind } from "../protocol/types.ts"
import type { HostOptions } from "../types.ts"
import { TroubleError } from "./steps.ts"

export interface TemplateMakerOptions {
  readonly templates: WarmTemplates
  readonly uid: number
  /** Of guests' interfaces. */
  readonly mtu: number
  readonly identity: { readonly manufacturer: string; readonly product: string }
  readonly engines: Pick<HostOptions, "images" | "storage">
}

/** `sizeBytes` of its root volume; without, as large as the image. */
export type TemplateKind = WarmKind & { readonly sizeBytes?: number }

export interface TemplateMaker {
  /** Gives the name of the template, which may have been there. Takes a boot; rejects with why there is none. */
  make(kind: TemplateKind): Promise<string>
  /** Volumes that are nobody's but ours. */
  readonly volumes: ReadonlySet<string>
}

export function createTemplateMaker(options: TemplateMakerOptions): TemplateMaker {
  const { templates, uid, mtu, identity } = options
  const { images, storage } = options.engines
  const volumes = new Set<string>()
  const make = async (kind: TemplateKind, volume: string) => {
    const image = await images.find(kind.image)
    if (!image) throw new TroubleError("no-image", `image ${kind.image} is not on this host`, true)
    if (!(await storage.hasImage(kind.image)) && image.diskPath) await storage.importImage(kind.image, image.diskPath)
    const smallest = Math.ceil((await storage.imageSize(kind.image)) / 2 ** 30) * 2 ** 30
    await storage.createVolume({ id: volume, sizeBytes: kind.sizeBytes ?? smallest, image: kind.image })
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
    return templates.make(like, uid)
  }
  return {
    volumes,
    async make(kind) {
      const volume = `template-${randomUUID().slice(0, 8)}`
      volumes.add(volume)
      try {
        return await make(kind, volume)
      } finally {
        // What is left by an error here is found by the next sweep.
        await storage.removeVolume(volume).finally(() => volumes.delete(volume))
      }
    },
  }
}
