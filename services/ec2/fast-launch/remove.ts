/** The end of a fast launch, with or without its image. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import type { FastLaunchRecord } from "./record.ts"

/** The claims of images that have it: one owner each. */
export const scopeOf = (call: Call) => `fast-launch:${call.account}:${call.region}`

/** The record and its claim. */
export function removeFastLaunch(call: Call, fastLaunch: Resource<FastLaunchRecord>): void {
  call.draft.remove(fastLaunch)
  call.draft.release(scopeOf(call), fastLaunch.record.image)
}
