/**
 * ModifyInstanceMaintenanceOptions, and the same options of a launch. Automatic recovery is the host's (host/reconcile/recovery.ts): a
 * machine that was lost is started again on the same host. No events are scheduled, so that there is no reboot to migrate at.
 */
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { toMaintenanceOptions } from "./answer.ts"
import { reassignGuest } from "./assignment.ts"
import { notInState } from "./lifecycle.ts"
import { instanceKind, type MaintenanceOptions } from "./record.ts"
import { recovers } from "./recovery.ts"

interface Given {
  readonly AutoRecovery?: string | undefined
  readonly RebootMigration?: string | undefined
}

/** InvalidParameterValue for anything but "default" and "disabled". */
export function readMaintenanceOptions(given: Given, before?: MaintenanceOptions): MaintenanceOptions {
  return {
    autoRecovery: oneOf("AutoRecovery", given.AutoRecovery) ?? before?.autoRecovery ?? "default",
    rebootMigration: oneOf("RebootMigration", given.RebootMigration) ?? before?.rebootMigration ?? "default",
  }
}

function oneOf(name: string, value: string | undefined): "default" | "disabled" | undefined {
  if (value === undefined || value === "default" || value === "disabled") return value
  throw raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter ${name} is invalid. Expected: default, disabled.`,
  })
}

export const modifyInstanceMaintenanceOptions: Handler<"ModifyInstanceMaintenanceOptions"> = async (input, call) => {
  const { AutoRecovery, RebootMigration } = input
  readMaintenanceOptions(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceMaintenanceOptions", instance)
  if (AutoRecovery === undefined && RebootMigration === undefined)
    throw raise("MissingParameter", { name: "AutoRecovery or RebootMigration" })
  const { record } = instance
  if (record.state === "shutting-down" || record.state === "terminated") throw notInState(instance.id, "modified")
  const maintenance = readMaintenanceOptions(input, record.attributes.maintenance)
  const changed = call.draft.update(instanceKind, instance, {
    ...record,
    attributes: { ...record.attributes, maintenance },
  })
  if (recovers(changed.record) !== recovers(record)) await reassignGuest(call, changed)
  await call.commit()
  return { InstanceId: instance.id, ...toMaintenanceOptions(changed.record) }
}
