/** CreateSnapshot, CreateSnapshots and CopySnapshot. */
import type { Call } from "#cloud/call.ts"
import { fromStored, notFound, requireId, type Resource, type Tag } from "#cloud/resources/kind.ts"
import { readSettings } from "../account/settings.ts"
import { volumeKey } from "../ebs-encryption/launch.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { instanceKind } from "../instances/record.ts"
import { isRegion } from "../regions/data.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toTags } from "../tags/answer.ts"
import { type VolumeRecord, volumeKind } from "../volumes/record.ts"
import { toSnapshot } from "./answer.ts"
import { createSnapshots, type SnapshotWish } from "./create.ts"
import { sees } from "./find.ts"
import { type SnapshotRecord, snapshotKind } from "./record.ts"

const maxDescription = 255

export function readDescription(description = ""): string {
  if (description.length <= maxDescription) return description
  throw raise("InvalidParameterValue", {
    detail: `The description of a snapshot has at most ${maxDescription} characters`,
  })
}

/** A region that there is. Throws MissingParameter, or InvalidParameterValue. */
export function requireRegion(region: string | undefined): string {
  if (region === undefined || region === "") throw raise("MissingParameter", { name: "SourceRegion" })
  if (isRegion(region)) return region
  throw raise("InvalidParameterValue", {
    detail: `Value (${region.slice(0, 100)}) for parameter SourceRegion is invalid.`,
  })
}

const wishOf = ({ id, record }: Resource<VolumeRecord>, description: string, tags: readonly Tag[]): SnapshotWish => ({
  from: { volume: id },
  sizeGiB: record.sizeGiB,
  description,
  kmsKey: record.kmsKey,
  tags,
})

function refuse(operation: string, input: object, names: readonly string[]): void {
  const given = new Map<string, unknown>(Object.entries(input))
  const name = names.find((each) => given.get(each) !== undefined && given.get(each) !== "")
  if (name !== undefined) throw raise("UnsupportedOperation", { operation: `${operation} with ${name}` })
}

/** Of the volume as it is now: a guest that runs stands still for the moment. */
const createSnapshot: Handler<"CreateSnapshot"> = async (input, call) => {
  refuse("CreateSnapshot", { ...input, Location: beyond(input.Location) }, ["OutpostArn", "Location"])
  const description = readDescription(input.Description)
  const tags = tagsFor(input.TagSpecifications, "snapshot")
  const volume = await call.require(volumeKind, input.VolumeId, "VolumeId")
  call.authorize("ec2:CreateSnapshot", volume)
  requireReadable(volume)
  const guest = volume.record.attachment?.instance
  const wish = wishOf(volume, description, tags)
  const [snapshot] = await createSnapshots(call, [wish], guest === undefined ? {} : { guest })
  call.draft.expect(volume)
  await call.commit()
  return toSnapshot(call, snapshot!)
}

/** The region is where they are kept anyway. */
const beyond = (location: string | undefined) => (location === "regional" ? undefined : location)

function requireReadable({ id, record }: Resource<VolumeRecord>): void {
  if (record.state === "available" || record.state === "in-use") return
  throw raise("IncorrectState", { detail: `The volume '${id}' is ${record.state}.` })
}

/** Of an instance's volumes, all of one moment. */
const createMany: Handler<"CreateSnapshots"> = async (input, call) => {
  refuse("CreateSnapshots", { ...input, Location: beyond(input.Location) }, ["OutpostArn", "Location"])
  const description = readDescription(input.Description)
  const tags = tagsFor(input.TagSpecifications, "snapshot")
  const { CopyTagsFromSource: copied, InstanceSpecification: wanted } = input
  if (copied !== undefined && copied !== "volume")
    throw raise("InvalidParameterValue", {
      detail: `Value (${String(copied).slice(0, 100)}) for parameter CopyTagsFromSource is invalid. Expected: volume.`,
    })
  const instance = await call.require(instanceKind, wanted?.InstanceId, "InstanceId")
  call.authorize("ec2:CreateSnapshots", instance)
  const { blockDevices, rootDevice } = instance.record
  const left = new Set(wanted?.ExcludeDataVolumeIds)
  const data = blockDevices.filter(({ device }) => device !== rootDevice)
  for (const id of left)
    if (data.every(({ volume }) => volume !== id))
      throw raise("InvalidParameterValue", { detail: `The volume '${id}' is no data volume of ${instance.id}` })
  const kept = blockDevices.filter(({ device, volume }) => {
    return !left.has(volume) && !(wanted?.ExcludeBootVolume === true && device === rootDevice)
  })
  if (kept.length === 0)
    throw raise("InvalidParameterCombination", { detail: "No volume is left to make a snapshot of" })
  const volumes = await call.load(
    volumeKind,
    kept.map(({ volume }) => volume),
  )
  const wishes = [...volumes.values()].map((volume) => {
    requireReadable(volume)
    const own = copied === "volume" ? volume.record.tags : []
    return wishOf(volume, description, [...own.filter(({ key }) => tags.every((tag) => tag.key !== key)), ...tags])
  })
  const snapshots = await createSnapshots(call, wishes, { guest: instance.id })
  call.draft.expect(instance)
  await call.commit()
  return { Snapshots: snapshots.map((snapshot) => toSnapshot(call, snapshot)) }
}

/** Of one of the same or another region, into the region of the call. */
const copySnapshot: Handler<"CopySnapshot"> = async (input, call) => {
  refuse("CopySnapshot", input, ["CompletionDurationMinutes", "DestinationAvailabilityZone", "DestinationOutpostArn"])
  const description = input.Description === undefined ? undefined : readDescription(input.Description)
  const tags = tagsFor(input.TagSpecifications, "snapshot")
  if (
    input.DestinationRegion !== undefined &&
    input.DestinationRegion !== "" &&
    input.DestinationRegion !== call.region
  )
    throw raise("InvalidParameterValue", { detail: "The DestinationRegion is the Region that the call is sent to" })
  const source = await requireSource(call, input)
  call.authorize("ec2:CopySnapshot")
  const { record } = source
  const encrypted = input.Encrypted === true || record.encrypted
  const wish = { ...(encrypted && { encrypted }), ...(input.KmsKeyId ? { kmsKey: input.KmsKeyId } : {}) }
  const key = volumeKey(call, wish, await readSettings(call))
  const [snapshot] = await createSnapshots(call, [
    {
      from: { snapshot: source.id },
      sizeGiB: record.sizeGiB,
      description:
        description ?? `[Copied ${source.id} from ${source.region}] ${record.description}`.slice(0, maxDescription),
      kmsKey: key?.arn,
      tags,
    },
  ])
  call.draft.expect(source)
  await call.commit()
  return { SnapshotId: snapshot!.id, ...(tags.length === 0 ? {} : { Tags: toTags(tags) }) }
}

async function requireSource(call: Call, input: Input<"CopySnapshot">): Promise<Resource<SnapshotRecord>> {
  const region = requireRegion(input.SourceRegion)
  const id = input.SourceSnapshotId
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "SourceSnapshotId" })
  requireId(snapshotKind, id)
  const stored = (await call.store.getMany([id])).get(id)
  const found = stored?.kind === snapshotKind.name ? fromStored<SnapshotRecord>(stored) : undefined
  if (found === undefined || found.region !== region || !sees(call.account, found)) throw notFound(snapshotKind, id)
  if (found.record.state !== "completed")
    throw raise("IncorrectState", { detail: `The snapshot '${id}' is ${found.record.state}.` })
  return found
}

export const creation = {
  CopySnapshot: copySnapshot,
  CreateSnapshot: createSnapshot,
  CreateSnapshots: createMany,
} satisfies Handlers
