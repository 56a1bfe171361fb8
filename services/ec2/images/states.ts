/** EnableImage and DisableImage, EnableImageDeprecation and DisableImageDeprecation: what an owner says of whether an image should still be used. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { requireOwnImage } from "./find.ts"
import { type ImageRecord, imageKind } from "./record.ts"

const minuteMs = 60_000
/** Of an image that is not public, and of a public one counted from its creation. */
const furthestYears = { private: 10, public: 2 }
const yearMs = 365.25 * 24 * 3_600_000

/** Nobody launches it then, and it is its owner's alone: whoever it was shared with has lost it for good. */
const disableImage: Handler<"DisableImage"> = async (input, call) => {
  const image = await requireInState(call, input.ImageId)
  call.authorize("ec2:DisableImage", image)
  call.draft.update(imageKind, image, { ...image.record, state: "disabled", public: false, users: [] })
  await call.commit()
  return { Return: true }
}

const enableImage: Handler<"EnableImage"> = async (input, call) => {
  const image = await requireInState(call, input.ImageId)
  call.authorize("ec2:EnableImage", image)
  call.draft.update(imageKind, image, { ...image.record, state: "available" })
  await call.commit()
  return { Return: true }
}

/** Available or disabled. */
async function requireInState(call: Call, id: string | undefined): Promise<Resource<ImageRecord>> {
  const image = await requireOwnImage(call, id)
  const { state } = image.record
  if (state === "available" || state === "disabled") return image
  throw raise("InvalidAMIID.Unavailable", { id: image.id, state })
}

/** Others see it no more in lists from then on; it can still be launched. Seconds are rounded to the minute. */
const enableDeprecation: Handler<"EnableImageDeprecation"> = async (input, call) => {
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:EnableImageDeprecation", image)
  const { record } = image
  const atMs = Math.round(readTime(input.DeprecateAt) / minuteMs) * minuteMs
  const latestMs = record.public
    ? record.createdMs + furthestYears.public * yearMs
    : call.nowMs + furthestYears.private * yearMs
  if (atMs <= call.nowMs || atMs > latestMs)
    throw raise("InvalidParameterValue", {
      detail: `The value for DeprecateAt is invalid. It must be a time in the future, until ${new Date(latestMs).toISOString()}.`,
    })
  call.draft.update(imageKind, image, { ...record, deprecatedMs: atMs })
  await call.commit()
  return { Return: true }
}

function readTime(at: Date | undefined): number {
  if (at === undefined) throw raise("MissingParameter", { name: "DeprecateAt" })
  return at.getTime()
}

const disableDeprecation: Handler<"DisableImageDeprecation"> = async (input, call) => {
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:DisableImageDeprecation", image)
  const { deprecatedMs: _, ...record } = image.record
  call.draft.update(imageKind, image, record)
  await call.commit()
  return { Return: true }
}

export const states = {
  DisableImage: disableImage,
  DisableImageDeprecation: disableDeprecation,
  EnableImage: enableImage,
  EnableImageDeprecation: enableDeprecation,
} satisfies Handlers
