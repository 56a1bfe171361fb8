/** Public images: what the host has on its disk becomes what DescribeImages shows, under one id in every region. */
import { createHash } from "node:crypto"
import type { Cloud } from "#cloud/call.ts"
import { commitDraft, createDraft } from "#cloud/resources/draft.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { everyRegion, type ImageRecord, imageKind, publicOwner } from "./record.ts"
import { standInOwners, standIns } from "./stand-ins.ts"

export interface PublicImage {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64" | "arm64"
  readonly platform?: "windows"
  readonly rootDeviceName: string
  readonly sizeBytes: number
  readonly createdMs: number
  /** "available" when absent. "pending": being built, and no instance can be launched of it. */
  readonly state?: "pending" | "available"
}

/** Makes the public images be exactly these. One that is gone stays as long as instances may refer to it, but cannot be launched. */
export async function registerPublicImages(cloud: Cloud, images: readonly PublicImage[]): Promise<void> {
  const own = images.map((image) => ({ id: image.id, record: recordOf(image) }))
  await register(cloud, publicOwner, own)
  const others = cloud.settings.unknownAmi === "substitute" ? standIns(own) : []
  for (const owner of standInOwners)
    await register(
      cloud,
      owner,
      others.filter((each) => each.owner === owner),
    )
}

async function register(
  cloud: Cloud,
  account: string,
  images: readonly { readonly id: string; readonly record: ImageRecord }[],
): Promise<void> {
  const known = await cloud.store.query({
    kind: imageKind.name,
    accounts: [account],
    regions: [everyRegion],
    limit: 1000,
  })
  const before = new Map(known.items.map((stored) => [stored.id, fromStored<ImageRecord>(stored)]))
  const draft = createDraft({ account, region: everyRegion, nowMs: cloud.clock.cloudMs() })
  for (const { id, record } of images) {
    const old = before.get(id)
    before.delete(id)
    if (old === undefined) draft.create(imageKind, record, id)
    else if (JSON.stringify(old.record) !== JSON.stringify({ ...record, tags: old.record.tags }))
      draft.update(imageKind, old, { ...record, tags: old.record.tags })
  }
  for (const gone of before.values()) draft.remove(gone)
  await commitDraft(cloud.store, draft, cloud.sink)
}

function recordOf(image: PublicImage): ImageRecord {
  return {
    name: image.name,
    description: image.description,
    architecture: image.architecture,
    state: image.state ?? "available",
    createdMs: image.createdMs,
    rootDeviceName: image.rootDeviceName,
    rootSnapshot: `snap-${createHash("sha256").update(`snapshot of ${image.name}`).digest("hex").slice(0, 17)}`,
    rootSizeGiB: Math.ceil(image.sizeBytes / 2 ** 30),
    public: true,
    users: [],
    tags: [],
    ...(image.platform === undefined ? {} : { platform: image.platform }),
  }
}
