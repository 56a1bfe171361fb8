/** ModifyInstanceMetadataOptions: in force for the running guest as soon as the host has written its document. */
import { readSettings } from "../account/settings.ts"
import type { Handler } from "../handler.ts"
import { reassignGuest } from "./assignment.ts"
import { notInState } from "./lifecycle.ts"
import { readMetadataOptions, requireEnforced, toMetadataOptions } from "./metadata-options.ts"
import { instanceKind } from "./record.ts"

export const modifyInstanceMetadataOptions: Handler<"ModifyInstanceMetadataOptions"> = async (input, call) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceMetadataOptions", instance)
  const { record } = instance
  if (record.state === "shutting-down" || record.state === "terminated") throw notInState(instance.id, "modified")
  const metadata = readMetadataOptions(input, record.attributes.metadata)
  if (input.HttpTokens === "optional") requireEnforced(metadata, (await readSettings(call)).metadata)
  const changed = { ...record, attributes: { ...record.attributes, metadata } }
  await reassignGuest(call, call.draft.update(instanceKind, instance, changed))
  await call.commit()
  return { InstanceId: instance.id, InstanceMetadataOptions: { ...toMetadataOptions(metadata), State: "pending" } }
}
