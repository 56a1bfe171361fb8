/** DeregisterImage, and what protects an image from it ("Protect an Amazon EC2 AMI from deregistration"). */
import type { SnapshotReturnCodes } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { raise } from "../errors.ts"
import { removeFastLaunch } from "../fast-launch/remove.ts"
import { fastLaunchKind } from "../fast-launch/record.ts"
import type { Handler, Handlers } from "../handler.ts"
import { removeSnapshot, userOf } from "../snapshots/handlers.ts"
import { snapshotKind } from "../snapshots/record.ts"
import { snapshotsOf } from "./devices.ts"
import { requireOwnImage } from "./find.ts"
import { type ImageRecord, imageKind } from "./record.ts"

/** How long protection goes on after it was taken off, where it was put on with a cooldown. */
const cooldownMs = 24 * 3_600_000

/** True while an image may not be deregistered. */
export const isProtected = ({ protection }: ImageRecord, nowMs: number): boolean =>
  protection !== undefined && (protection.untilMs ?? Infinity) > nowMs

/** Instances and volumes that were made of it go on; its snapshots too, unless they are to go with it. */
const deregisterImage: Handler<"DeregisterImage"> = async (input, call) => {
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:DeregisterImage", image)
  if (isProtected(image.record, call.nowMs))
    throw raise("OperationNotPermitted", {
      detail: `The image '${image.id}' is protected from deregistration. Disable its deregistration protection and try again.`,
    })
  const ids = input.DeleteAssociatedSnapshots === true ? snapshotsOf(image.record) : []
  const results: { SnapshotId: string; ReturnCode: SnapshotReturnCodes }[] = []
  for (const id of ids) results.push({ SnapshotId: id, ReturnCode: await removeWith(call, id, image.id) })
  const [fastLaunch] = await call.list(fastLaunchKind, "image-id", image.id)
  if (fastLaunch !== undefined) {
    call.draft.unassign(localHost, fastLaunch.id)
    removeFastLaunch(call, fastLaunch)
  }
  call.draft.remove(image)
  await call.commit()
  return { Return: true, ...(ids.length === 0 ? {} : { DeleteSnapshotResults: results }) }
}

/** Unless another image is made of it. */
async function removeWith(call: Call, id: string, image: string): Promise<SnapshotReturnCodes> {
  const snapshot = await call.find(snapshotKind, id)
  if (snapshot === undefined || (await userOf(call, id, image)) !== undefined) return "skipped"
  call.draft.unlink(image, id, "blocks")
  removeSnapshot(call, snapshot)
  return "success"
}

const enableProtection: Handler<"EnableImageDeregistrationProtection"> = async (input, call) => {
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:EnableImageDeregistrationProtection", image)
  const protection = { cooldown: input.WithCooldown === true }
  call.draft.update(imageKind, image, { ...image.record, protection })
  await call.commit()
  return { Return: "true" }
}

const disableProtection: Handler<"DisableImageDeregistrationProtection"> = async (input, call) => {
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:DisableImageDeregistrationProtection", image)
  const { protection, ...record } = image.record
  if (protection !== undefined && protection.untilMs === undefined) {
    const ending = { ...record, protection: { ...protection, untilMs: call.nowMs + cooldownMs } }
    call.draft.update(imageKind, image, protection.cooldown ? ending : record)
  }
  await call.commit()
  return { Return: "true" }
}

export const deregistration = {
  DeregisterImage: deregisterImage,
  DisableImageDeregistrationProtection: disableProtection,
  EnableImageDeregistrationProtection: enableProtection,
} satisfies Handlers
