/** Event windows as answers show them. */
import type { InstanceEventWindow, InstanceEventWindowState } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { listTags, toTags } from "../tags/answer.ts"
import type { EventWindowRecord } from "./record.ts"

/** What changes a window answers "creating", what describes it "active". */
export function toEventWindow(
  { id, record }: Resource<EventWindowRecord>,
  state: InstanceEventWindowState,
): InstanceEventWindow {
  const { instances, instanceTags } = record.targets
  return {
    InstanceEventWindowId: id,
    State: state,
    AssociationTarget: { InstanceIds: [...instances], Tags: toTags(instanceTags), DedicatedHostIds: [] },
    Tags: listTags(record.tags),
    ...(record.name === undefined ? {} : { Name: record.name }),
    ...(record.cronExpression === undefined ? {} : { CronExpression: record.cronExpression }),
    ...(record.timeRanges === undefined
      ? {}
      : {
          TimeRanges: record.timeRanges.map((range) => ({
            StartWeekDay: range.startWeekDay,
            StartHour: range.startHour,
            EndWeekDay: range.endWeekDay,
            EndHour: range.endHour,
          })),
        }),
  }
}
