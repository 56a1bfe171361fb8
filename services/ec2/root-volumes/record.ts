/** Root volume replacement tasks as they are stored. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface ReplaceRootVolumeTaskRecord extends Tagged {
  readonly instance: string
  /** "pending": asked for. "in-progress": the instance has ended with its old volume. "failed": it has its old one again. */
  readonly state: "pending" | "in-progress" | "succeeded" | "failing" | "failed"
  readonly startedMs: number
  readonly completedMs?: number
  /** Where one was asked for. */
  readonly image?: string
  readonly snapshot?: string
  readonly deleteReplaced: boolean
}

/** What an instance says of itself while its root volume is being replaced. */
export interface RootReplacement {
  readonly task: string
  /** The volume that goes, and the image that was launched with it. */
  readonly replaced: string
  readonly before: { readonly image: string; readonly launchedImage?: string }
}

export const replaceRootVolumeTaskKind = defineKind<ReplaceRootVolumeTaskRecord>({
  name: "replace-root-volume-task",
  prefix: "replacevol",
  schema: 1,
  notFound: ["InvalidReplaceRootVolumeTaskId.NotFound", "The replace root volume task ID '{id}' does not exist"],
  malformed: ["InvalidReplaceRootVolumeTaskId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ record }) => ({ "instance-id": record.instance }),
})
