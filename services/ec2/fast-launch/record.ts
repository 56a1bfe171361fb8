/** Fast launch of an image, as it is stored: a warm template that a host keeps. One for each image of an account and region. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface FastLaunchRecord extends Tagged {
  readonly image: string
  /** Account that the image belongs to. */
  readonly imageOwner: string
  readonly targetResourceCount: number
  readonly maxParallelLaunches: number
  /** That its launches are fast for; none for a type of our own choice. */
  readonly launchTemplate?: { readonly id: string; readonly name: string; readonly version: number }
  readonly state: "enabling" | "enabling-failed" | "enabled" | "enabled-failed" | "disabling" | "disabling-failed"
  readonly reason: string
  /** When the state became what it is. */
  readonly changedMs: number
}

/** Its id is the resource of a host's assignment, and never shown: callers name the image. */
export const fastLaunchKind = defineKind<FastLaunchRecord>({
  name: "fast-launch",
  prefix: "fl",
  schema: 1,
  notFound: ["InvalidAMIID.NotFound", "The image id '[{id}]' does not exist"],
  malformed: ["InvalidAMIID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ record: { image, imageOwner, state } }) => ({
    "image-id": image,
    "owner-id": imageOwner,
    "resource-type": "snapshot",
    state,
  }),
})
