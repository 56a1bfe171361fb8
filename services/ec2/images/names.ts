/** Names of images: unique among those of an account in a region. */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"

const maxDescription = 255
/** EC2's quota of private images in a region. */
const maxImages = 50_000

const scopeOf = (call: Call) => `image-name:${call.account}:${call.region}`

/** Throws InvalidAMIName.Malformed. Characters after "Name" of CreateImage. */
export function readName(name: string | undefined): string {
  if (name === undefined || name === "") throw raise("MissingParameter", { name: "Name" })
  if (!/^[A-Za-z0-9()[\] ./'@_-]{3,128}$/.test(name)) throw raise("InvalidAMIName.Malformed")
  return name
}

export function readDescription(description = ""): string {
  if (description.length <= maxDescription && /^[\x20-\x7e\u00a0-\uffff]*$/.test(description)) return description
  throw raise("InvalidParameterValue", {
    detail: `The description of an image has at most ${maxDescription} characters, and none that control anything`,
  })
}

/** Puts the name's claim into the draft. Throws InvalidAMIName.Duplicate. */
export async function claimName(call: Call, name: string, id: string): Promise<void> {
  const [taken] = await call.store.claims(scopeOf(call), [name])
  if (taken !== undefined) throw raise("InvalidAMIName.Duplicate", { name, id: taken.owner })
  const count = (await call.store.countClaims([scopeOf(call)])).get(scopeOf(call)) ?? 0
  if (count >= maxImages)
    throw raise("ResourceLimitExceeded", { detail: `At most ${maxImages} images of an account are kept in a Region` })
  call.draft.claim(scopeOf(call), name, id)
}
