/** What a host makes a warm template of, for the guests of an image. */
import type { Resource } from "#cloud/resources/kind.ts"
import type { WarmKind } from "#host/protocol/types.ts"
import type { ImageRecord } from "../images/record.ts"

/** What its guests boot as and, of an image that was made of an instance, the snapshot that their disks are copies of. */
export function contentOf({ id, record }: Resource<ImageRecord>): Pick<WarmKind, "image" | "snapshot"> {
  const [root] = record.devices ?? []
  return root?.snapshot === undefined ? { image: id } : { image: record.boots ?? id, snapshot: root.snapshot }
}

/** What kind of image it is, where its guests always boot: a template would hold what stands on its disk, and knows one disk alone. */
export function bootsFor({ devices = [] }: Pick<ImageRecord, "devices">): string | undefined {
  if (devices[0]?.encrypted === true) return "an encrypted image"
  return devices.length > 1 ? "an image with several volumes" : undefined
}
