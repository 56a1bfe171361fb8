/**
 * ResetInstanceAttribute: sourceDestCheck goes back to true, in any state; kernel and ramdisk to the image's own, which for guests that boot
 * by firmware is none, and only while stopped.
 */
import { raise } from "../../errors.ts"
import type { Handler } from "../../handler.ts"
import { notInState } from "../lifecycle.ts"
import { instanceKind } from "../record.ts"
import { setSourceDestCheck } from "./changes.ts"
import { badAttribute, isAttribute } from "./describe.ts"
import { requireStopped } from "./modify.ts"

export const resetInstanceAttribute: Handler<"ResetInstanceAttribute"> = async (input, call) => {
  const { Attribute: attribute } = input
  if (!isAttribute(attribute)) throw badAttribute(attribute)
  if (attribute !== "sourceDestCheck" && attribute !== "kernel" && attribute !== "ramdisk")
    throw raise("InvalidParameterValue", {
      detail: `Value (${attribute}) for parameter attribute is invalid. Expected: kernel, ramdisk, sourceDestCheck.`,
    })
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ResetInstanceAttribute", instance)
  const { state } = instance.record
  if (state === "terminated" || state === "shutting-down") throw notInState(instance.id, "modified")
  if (attribute === "sourceDestCheck") await setSourceDestCheck(call, instance, true)
  else requireStopped(instance)
  await call.commit()
  return {}
}
