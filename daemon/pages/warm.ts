/**
 * POST /_fractus/warm {"image": ID, "type": instance type}: has a warm template made of that kind. Answers at once, `ready`, `making` or
 * `refused` with why: ask again.
 */
import type { WarmAnswer } from "#host/protocol/types.ts"
import { Fault } from "#lib/fault.ts"
import { findInstanceType } from "#services/ec2/instance-types/data.ts"
import type { PagesOptions } from "./pages.ts"

/** Throws a Fault for what is no image's id or no type. */
export async function askWarm(
  { connection }: Pick<PagesOptions, "connection">,
  { image, type }: Record<string, unknown>,
): Promise<WarmAnswer> {
  if (typeof image !== "string" || !/^ami-[0-9a-f]{8,17}$/.test(image))
    throw new Fault("ValidationError", "image is not an image's id")
  const found = typeof type === "string" ? findInstanceType(type) : undefined
  const [vcpus, memoryMiB] = [found?.VCpuInfo?.DefaultVCpus, found?.MemoryInfo?.SizeInMiB]
  if (vcpus === undefined || memoryMiB === undefined) throw new Fault("ValidationError", "type is not an instance type")
  if (!connection.warm) return { state: "refused", why: "simulated guests have no templates" }
  return connection
    .warm({ image, vcpus, memoryMiB })
    .catch((error: unknown) => ({ state: "refused", why: error instanceof Error ? error.message : String(error) }))
}
