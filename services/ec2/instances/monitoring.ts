/**
 * MonitorInstances, UnmonitorInstances: detailed monitoring as a setting of the instance. The answer says that the change is under way,
 * DescribeInstances then how it ended.
 */
import type { InstanceMonitoring } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { readInstances } from "./ids.ts"
import { notInState } from "./lifecycle.ts"
import { instanceKind } from "./record.ts"

export const monitorInstances: Handler<"MonitorInstances"> = async (input, call) => {
  refuseCategories("MonitorInstances", input.MetricCategoryIds)
  return { InstanceMonitorings: await setMonitoring(call, "ec2:MonitorInstances", input.InstanceIds, "enabled") }
}

export const unmonitorInstances: Handler<"UnmonitorInstances"> = async (input, call) => {
  refuseCategories("UnmonitorInstances", input.MetricCategoryIds)
  return { InstanceMonitorings: await setMonitoring(call, "ec2:UnmonitorInstances", input.InstanceIds, "disabled") }
}

async function setMonitoring(
  call: Call,
  action: string,
  ids: readonly string[] | undefined,
  monitoring: "enabled" | "disabled",
): Promise<InstanceMonitoring[]> {
  const instances = await readInstances(call, ids)
  call.authorize(action, ...instances)
  for (const { id, record } of instances)
    if (record.state === "shutting-down" || record.state === "terminated") throw notInState(id, "monitored")
  const changing = instances.filter(({ record }) => record.attributes.monitoring !== monitoring)
  for (const instance of changing)
    call.draft.update(instanceKind, instance, {
      ...instance.record,
      attributes: { ...instance.record.attributes, monitoring },
    })
  await call.commit()
  const underWay = monitoring === "enabled" ? ("pending" as const) : ("disabling" as const)
  return instances.map((instance) => ({
    InstanceId: instance.id,
    Monitoring: { State: changing.includes(instance) ? underWay : monitoring },
  }))
}

function refuseCategories(operation: string, ids: readonly string[] | undefined): void {
  if (ids !== undefined && ids.length > 0)
    throw raise("UnsupportedOperation", { operation: `${operation} with MetricCategoryIds` })
}
