/** CopyImage: an image of the same or another region, with snapshots of its own, encrypted if that is asked for. */
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { fromStored, newId, notFound, requireId, type Resource } from "#cloud/resources/kind.ts"
import type { SnapshotSpec } from "#host/protocol/types.ts"
import { readSettings } from "../account/settings.ts"
import { volumeKey } from "../ebs-encryption/launch.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { createSnapshots } from "../snapshots/create.ts"
import { snapshotKind, type SnapshotRecord } from "../snapshots/record.ts"
import { requireRegion } from "../snapshots/copy.ts"
import { tagsFor } from "../tags/specifications.ts"
import { devicesOf, type ImageDevice } from "./devices.ts"
import { mayUse, allowedImagesOf } from "./allowed.ts"
import { sees } from "./find.ts"
import { claimName, readDescription, readName } from "./names.ts"
import { type ImageRecord, imageKind } from "./record.ts"

const notDone = [
  "DestinationAvailabilityZone",
  "DestinationAvailabilityZoneId",
  "DestinationOutpostArn",
  "SnapshotCopyCompletionDurationMinutes",
] as const

export const copyImage: Handler<"CopyImage"> = async (input, call) => {
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return { ImageId: earlier }
  for (const name of notDone)
    if (input[name] !== undefined && input[name] !== "")
      throw raise("UnsupportedOperation", { operation: `CopyImage with ${name}` })
  const name = readName(input.Name)
  const description = input.Description === undefined ? undefined : readDescription(input.Description)
  const tags = (type: string) => tagsFor(input.TagSpecifications, type, ["image", "snapshot"])
  const [imageTags, snapshotTags] = [tags("image"), tags("snapshot")]
  const source = await requireSource(call, input)
  call.authorize("ec2:CopyImage")
  const id = newId(imageKind.prefix)
  const devices = await keyed(call, input, devicesOf(source.record))
  const filled = devices.filter(({ snapshot }) => snapshot !== undefined)
  const made = await createSnapshots(
    call,
    filled.map((device) => ({
      from: bytesOf(source, device),
      sizeGiB: device.bytesGiB,
      description: `Copied for DestinationAmi ${id} from SourceAmi ${source.id} for SourceSnapshot ${device.snapshot}`,
      kmsKey: device.kmsKey,
      tags: snapshotTags,
    })),
  )
  const copied = devices.map((keyed): ImageDevice => {
    const { bytesGiB: _, ...device } = keyed
    const index = filled.findIndex((each) => each.device === device.device)
    return index === -1 ? device : { ...device, snapshot: made[index]!.id }
  })
  const { architecture, platform, rootDeviceName, rootSizeGiB, imdsSupport, boots, standsFor } = source.record
  const kept = input.CopyImageTags === true && source.account === call.account ? source.record.tags : []
  const image = call.draft.create(
    imageKind,
    {
      name,
      description: description ?? source.record.description,
      architecture,
      ...(platform && { platform }),
      state: "pending",
      createdMs: call.nowMs,
      rootDeviceName,
      rootSnapshot: copied[0]?.snapshot ?? "",
      rootSizeGiB,
      public: false,
      users: [],
      devices: copied,
      boots: boots ?? standsFor?.id ?? source.id,
      source: { image: source.id, region: input.SourceRegion ?? call.region },
      ...(imdsSupport && { imdsSupport }),
      tags: [...kept.filter(({ key }) => imageTags.every((tag) => tag.key !== key)), ...imageTags],
    },
    id,
  )
  await claimName(call, name, image.id)
  call.draft.expect(source)
  for (const snapshot of made) call.draft.link(image.id, snapshot.id, "blocks")
  rememberToken(call, token, parameters, image.id)
  await call.commit()
  return { ImageId: image.id }
}

async function requireSource(call: Call, input: Input<"CopyImage">): Promise<Resource<ImageRecord>> {
  const region = requireRegion(input.SourceRegion)
  const id = input.SourceImageId
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "SourceImageId" })
  requireId(imageKind, id)
  const stored = (await call.store.getMany([id])).get(id)
  const found = stored?.kind === imageKind.name ? fromStored<ImageRecord>(stored) : undefined
  const image = found !== undefined && sees(call, found, region) ? found : undefined
  if (image === undefined || !mayUse(call, allowedImagesOf(await readSettings(call)), image))
    throw notFound(imageKind, id)
  const { state } = image.record
  if (state !== "available") throw raise("InvalidAMIID.Unavailable", { id, state })
  return image
}

/** A volume with the size of what it is made of, which the image may make larger, and the key that its copy gets. */
interface Keyed extends ImageDevice {
  readonly bytesGiB: number
}

/** Throws InvalidRequest for snapshots that the caller may not read. */
async function keyed(
  call: Call,
  input: Input<"CopyImage">,
  devices: readonly ImageDevice[],
): Promise<readonly Keyed[]> {
  const settings = await readSettings(call)
  const found = await call.store.getMany(devices.flatMap(({ snapshot }) => snapshot ?? []))
  return devices.map((device) => {
    const { kmsKey: _, ...plain } = device
    const stored = device.snapshot === undefined ? undefined : found.get(device.snapshot)
    const record = stored?.kind === snapshotKind.name ? fromStored<SnapshotRecord>(stored).record : undefined
    const mine = stored?.account === call.account || record?.public === true || record?.users.includes(call.account)
    if (record !== undefined && mine !== true)
      throw raise("InvalidRequest", { detail: "You do not have permission to access the storage of this ami" })
    if (device.snapshot === undefined) return { ...plain, bytesGiB: plain.sizeGiB }
    const encrypted = input.Encrypted === true || device.encrypted
    const wish = { ...(encrypted && { encrypted }), ...(input.KmsKeyId ? { kmsKey: input.KmsKeyId } : {}) }
    const key = volumeKey(call, wish, settings)
    const bytesGiB = record?.sizeGiB ?? plain.sizeGiB
    return { ...plain, bytesGiB, encrypted: key !== undefined, ...(key && { kmsKey: key.arn }) }
  })
}

/** What ships with Fractus has no snapshot that a host knows: its bytes are the image's own. */
function bytesOf({ id, record }: Resource<ImageRecord>, { snapshot }: ImageDevice): SnapshotSpec["from"] {
  if (record.devices !== undefined && snapshot !== undefined) return { snapshot }
  return { image: record.standsFor?.id ?? id }
}
