/** Which images a caller sees: its own, those of all regions, and those that others share with it or with all. */
import type { Call } from "#cloud/call.ts"
import { fromStored, notFound, requireId, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { everyRegion, type ImageRecord, imageKind } from "./record.ts"

type Image = Resource<ImageRecord>

/** For `call.describe`. */
export const seenImages = (call: Call) => ({ accounts: [], regions: [call.region, everyRegion] })
export const seenBy = (call: Call) => ({ name: "visible-to", values: [call.account, "all"] })

/** An image that is disabled is its owner's alone, whoever it was shared with. */
export function sees(call: Call, { account, region, record }: Image, wanted = call.region): boolean {
  if (region !== wanted && region !== everyRegion) return false
  if (account === call.account) return true
  const shared = record.public || record.users?.includes(call.account) === true
  return shared && record.state !== "disabled"
}

/** Those of these ids that the caller sees, by id. */
export async function findImages(call: Call, ids: readonly string[]): Promise<ReadonlyMap<string, Image>> {
  const found = ids.length === 0 ? [] : [...(await call.store.getMany([...new Set(ids)])).values()]
  const images = found.filter(({ kind }) => kind === imageKind.name).map((stored) => fromStored<ImageRecord>(stored))
  return new Map(images.filter((image) => sees(call, image)).map((image) => [image.id, image]))
}

/** In the order of the ids. Throws InvalidAMIID.Malformed or InvalidAMIID.NotFound. */
export async function requireImages(call: Call, ids: readonly string[]): Promise<readonly Image[]> {
  for (const id of ids) requireId(imageKind, id)
  const found = await findImages(call, ids)
  const missing = ids.filter((id) => !found.has(id))
  if (missing.length > 0) throw notFound(imageKind, missing.join(", "))
  return ids.flatMap((id) => found.get(id) ?? [])
}

/** One that is the caller's own, for what only its owner may do. Throws AuthFailure for another's. */
export async function requireOwnImage(call: Call, id: string | undefined): Promise<Image> {
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "ImageId" })
  const [image] = await requireImages(call, [id])
  if (image === undefined) throw notFound(imageKind, id)
  if (image.account !== call.account) throw raise("AuthFailure", { detail: `Not authorized for image:${id}` })
  return image
}
