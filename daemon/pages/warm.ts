/**
 * POST /_fractus/warm {"image": ID, "type": instance type}: has a warm template made of that kind. Answers at once, `ready`, `making` or
 * `refused` with why: ask again.
 */
import type { WarmAnswer, WarmKind } from "#host/protocol/types.ts"
import type { Cloud } from "#cloud/call.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { Fault } from "#lib/fault.ts"
import { bootsFor, contentOf } from "#services/ec2/fast-launch/content.ts"
import { type ImageRecord, imageKind } from "#services/ec2/images/record.ts"
import { findInstanceType } from "#services/ec2/instance-types/data.ts"
import type { PagesOptions } from "./pages.ts"

/** Throws a Fault for what is no image's id or no type. */
export async function askWarm(
  { connection, cloud }: Pick<PagesOptions, "connection" | "cloud">,
  { image, type }: Record<string, unknown>,
): Promise<WarmAnswer> {
  if (typeof image !== "string" || !/^ami-[0-9a-f]{8,17}$/.test(image))
    throw new Fault("ValidationError", "image is not an image's id")
  const found = typeof type === "string" ? findInstanceType(type) : undefined
  const [vcpus, memoryMiB] = [found?.VCpuInfo?.DefaultVCpus, found?.MemoryInfo?.SizeInMiB]
  if (vcpus === undefined || memoryMiB === undefined) throw new Fault("ValidationError", "type is not an instance type")
  if (!connection.warm) return { state: "refused", why: "simulated guests have no templates" }
  const content = await contentOfImage(cloud, image)
  if (typeof content === "string") return { state: "refused", why: content }
  return connection
    .warm({ ...content, vcpus, memoryMiB })
    .catch((error: unknown) => ({ state: "refused", why: error instanceof Error ? error.message : String(error) }))
}

/** Or why its guests boot. What the store does not know yet the host may: an image that was built just now. */
async function contentOfImage({ store }: Cloud, id: string): Promise<Omit<WarmKind, "vcpus" | "memoryMiB"> | string> {
  const stored = (await store.getMany([id])).get(id)
  if (stored?.kind !== imageKind.name) return { image: id }
  const image = fromStored<ImageRecord>(stored)
  const why = bootsFor(image.record)
  if (why !== undefined) return `guests of ${why} boot`
  const { devices, rootSizeGiB } = image.record
  return { ...contentOf(image), ...(devices && { sizeBytes: rootSizeGiB * 2 ** 30 }) }
}
