/**
 * DescribeVolumeAttribute, ModifyVolumeAttribute. AutoEnableIO says what becomes of a volume whose data may be inconsistent; a host here holds a guest's
 * writes back until it can carry them out, so that no volume's ever are, and the attribute is kept for who asks.
 */
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { volumeKind } from "./record.ts"

export const describeVolumeAttribute: Handler<"DescribeVolumeAttribute"> = async (input, call) => {
  const attribute: string | undefined = input.Attribute
  if (attribute === undefined) throw raise("MissingParameter", { name: "Attribute" })
  const { id, record } = await call.require(volumeKind, input.VolumeId, "VolumeId")
  if (attribute === "autoEnableIO") return { VolumeId: id, AutoEnableIO: { Value: record.autoEnableIo === true } }
  if (attribute === "productCodes") return { VolumeId: id, ProductCodes: [] }
  throw raise("InvalidParameterValue", {
    detail: `Value (${attribute}) for parameter attribute is invalid. Expected: autoEnableIO, productCodes.`,
  })
}

export const modifyVolumeAttribute: Handler<"ModifyVolumeAttribute"> = async (input, call) => {
  const volume = await call.require(volumeKind, input.VolumeId, "VolumeId")
  call.authorize("ec2:ModifyVolumeAttribute", volume)
  const wanted = input.AutoEnableIO?.Value
  if (wanted === undefined) throw raise("MissingParameter", { name: "AutoEnableIO" })
  const { autoEnableIo: _, ...record } = volume.record
  call.draft.update(volumeKind, volume, { ...record, ...(wanted && { autoEnableIo: true as const }) })
  await call.commit()
  return {}
}
