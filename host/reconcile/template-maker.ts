/** Makes a template of a kind of guest, with a new volume of its image, as a launch would have. */
import { randomUUID } from "node:crypto"
import type { MachineSpec, TapPlace, Uids, WarmTemplates } from "#engine/hypervisor/types.ts"
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

/** What its root volume is made of. */
const contentOf = ({ image, snapshot }: WarmKind) => (snapshot === undefined ? { image } : { snapshot })

export interface TemplateMaker {
  /** Gives the name of the template, which may have been there. Takes a boot; rejects with why there is none. */
  make(kind: WarmKind): Promise<string>
  /**
   * Has one more clone wait in the pool, of a template that is made unless it is there. Gives its id and the volume that is its disk: ours
   * until `forget`, whoever has its file by then. `place`: see WarmPool.
   */
  spare(
    kind: WarmKind,
    uids: Uids,
    place?: (tap: TapPlace) => Promise<TapPlace>,
  ): Promise<{ readonly member: string; readonly volume: string }>
  forget(volume: string): Promise<void>
  /** Volumes that are nobody's but ours. */
  readonly volumes: ReadonlySet<string>
}

export function createTemplateMaker(options: TemplateMakerOptions): TemplateMaker {
  const { templates, uid, mtu, identity } = options
  const { images, storage } = options.engines
  const volumes = new Set<string>()
  const machine = async (kind: WarmKind, volume: string): Promise<MachineSpec> => {
    const image = await images.find(kind.image)
    if (!image) throw new TroubleError("no-image", `image ${kind.image} is not on this host`, true)
    if (!(await storage.hasImage(kind.image)) && image.diskPath) await storage.importImage(kind.image, image.diskPath)
    const smallest = Math.ceil((await storage.imageSize(kind.image)) / 2 ** 30) * 2 ** 30
    await storage.createVolume({ id: volume, sizeBytes: kind.sizeBytes ?? smallest, ...contentOf(kind) })
    const file = await storage.present(volume, uid)
    return {
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
  }
  const begin = (name: string) => {
    const volume = `${name}-${randomUUID().slice(0, 8)}`
    volumes.add(volume)
    return volume
  }
  // What is left by an error here is found by the next sweep.
  const forget = (volume: string) => storage.removeVolume(volume).finally(() => volumes.delete(volume))
  const make = async (kind: WarmKind) => {
    const volume = begin("template")
    try {
      return await templates.make(await machine(kind, volume), uid)
    } finally {
      await forget(volume)
    }
  }
  return {
    volumes,
    make,
    forget,
    async spare(kind, uids, place) {
      const { pool } = templates
      if (!pool) throw new Error("this engine keeps no clones waiting")
      await make(kind)
      const volume = begin("pool")
      try {
        return { member: await pool.add(await machine(kind, volume), uids, place), volume }
      } catch (error) {
        await forget(volume)
        throw error
      }
    },
  }
}

/** Equal for the same kind. */
export const nameOf = ({ image, snapshot, vcpus, memoryMiB, sizeBytes }: WarmKind) =>
  JSON.stringify([image, snapshot, vcpus, memoryMiB, sizeBytes])

/** Of a file that only we write: this tells a whole one from a broken one. */
export function isKind(value: unknown): value is WarmKind {
  if (typeof value !== "object" || value === null) return false
  const { image, snapshot, vcpus, memoryMiB, sizeBytes } = value as Record<string, unknown>
  const sizes = [vcpus, memoryMiB, sizeBytes ?? 0]
  const named = typeof image === "string" && ["string", "undefined"].includes(typeof snapshot)
  return named && sizes.every((size) => Number.isSafeInteger(size))
}
