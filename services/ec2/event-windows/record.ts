/** Instance event windows as they are stored. */
import { defineKind, type Tag, type Tagged } from "#cloud/resources/kind.ts"
import type { TimeRange } from "./times.ts"

export interface EventWindowRecord extends Tagged {
  readonly name?: string
  /** Either of the two. */
  readonly timeRanges?: readonly TimeRange[]
  readonly cronExpression?: string
  readonly targets: Targets
}

/** At most one of the lists has something in it. */
export interface Targets {
  readonly instances: readonly string[]
  readonly instanceTags: readonly Tag[]
}

export const eventWindowKind = defineKind<EventWindowRecord>({
  name: "instance-event-window",
  prefix: "iew",
  schema: 1,
  notFound: ["InvalidInstanceEventWindowID.NotFound", "The instance event window ID '{id}' does not exist"],
  malformed: ["InvalidInstanceEventWindowID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ record: { name, targets, tags } }) => ({
    "event-window-name": name,
    "instance-id": targets.instances,
    "instance-tag": targets.instanceTags.map(({ key, value }) => `${key}=${value}`),
    "instance-tag-key": targets.instanceTags.map(({ key }) => key),
    "instance-tag-value": targets.instanceTags.map(({ value }) => value),
    "tag-value": tags.map(({ value }) => value),
  }),
})
