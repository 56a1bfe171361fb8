/**
 * CreateReplaceRootVolumeTask and DescribeReplaceRootVolumeTasks ("Replace the root volume for an Amazon EC2 instance"). The instance is asked to
 * power off and boots from a new volume, in its launch state or of another image; its id, its other volumes, interfaces and addresses stay, and to the
 * API it runs all the while. To the host it is one more start, with another disk.
 */
import type { ReplaceRootVolumeTask } from "@aws-sdk/client-ec2"
import { localHost } from "#cloud/hosts/local.ts"
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { findKey } from "../ebs-encryption/keys.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import type { ImageRecord } from "../images/record.ts"
import { reassignGuest } from "../instances/assignment.ts"
import { findImage } from "../instances/launch/place.ts"
import { type BlockDevice, instanceKind, type InstanceRecord } from "../instances/record.ts"
import { requireSnapshots } from "../snapshots/find.ts"
import { snapshotKind } from "../snapshots/record.ts"
import { toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { type VolumeRecord, volumeKind } from "../volumes/record.ts"
import { replaceRootVolumeTaskKind, type ReplaceRootVolumeTaskRecord } from "./record.ts"

type Create = Input<"CreateReplaceRootVolumeTask">
type Instance = Resource<InstanceRecord>

const createReplaceRootVolumeTask: Handler<"CreateReplaceRootVolumeTask"> = async (input, call) => {
  for (const name of ["VolumeId", "VolumeInitializationRate"] as const)
    if (input[name] !== undefined)
      throw raise("UnsupportedOperation", { operation: `CreateReplaceRootVolumeTask with ${name}` })
  if (input.SnapshotId !== undefined && input.ImageId !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters SnapshotId and ImageId may not be specified on the same request",
    })
  const tags = tagsFor(input.TagSpecifications, "replace-root-volume-task")
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined)
    return { ReplaceRootVolumeTask: toTask(await call.require(replaceRootVolumeTaskKind, earlier)) }
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:CreateReplaceRootVolumeTask", instance)
  const { device, volume } = await requireReplaceable(call, instance)
  const source = await sourceFor(call, instance, volume, input)
  const task = call.draft.create(replaceRootVolumeTaskKind, {
    instance: instance.id,
    state: "pending",
    startedMs: call.nowMs,
    deleteReplaced: input.DeleteReplacedRootVolume ?? false,
    tags,
    ...(input.ImageId === undefined ? {} : { image: input.ImageId }),
    ...(input.SnapshotId === undefined ? {} : { snapshot: input.SnapshotId }),
  })
  call.draft.link(task.id, instance.id, "owned")
  await replace(call, instance, device, volume, task.id, source)
  rememberToken(call, token, parameters, task.id)
  await call.commit()
  return { ReplaceRootVolumeTask: toTask(task) }
}

/** IncorrectInstanceState for one that does not run, IncorrectState for one whose root volume is being replaced already. */
async function requireReplaceable(call: Call, { id, record }: Instance) {
  if (record.state !== "running")
    throw raise("IncorrectInstanceState", { detail: `The instance '${id}' is not in the 'running' state.` })
  if (record.rootReplacement !== undefined)
    throw raise("IncorrectState", {
      detail: `The root volume of the instance '${id}' is being replaced by '${record.rootReplacement.task}'.`,
    })
  const device = record.blockDevices.find((each) => each.device === record.rootDevice)
  const volume = device && (await call.find(volumeKind, device.volume))
  if (device === undefined || volume === undefined)
    throw raise("IncorrectState", { detail: `The instance '${id}' has no root volume.` })
  return { device, volume }
}

/** What the new volume is made of. */
interface Source {
  /** Another image than that of the launch. */
  readonly image?: Resource<ImageRecord>
  /** One of the two: bytes of an image, or of a snapshot. */
  readonly bytes: { readonly image: string } | { readonly snapshot: string }
  /** As answers show it. */
  readonly snapshot: string | undefined
  readonly leastGiB: number
}

async function sourceFor(
  call: Call,
  { record }: Instance,
  volume: Resource<VolumeRecord>,
  { ImageId, SnapshotId }: Create,
): Promise<Source> {
  if (ImageId !== undefined) {
    const image = await findImage(call, ImageId, record.type)
    // The new volume is encrypted as the one before it is.
    if (!volume.record.encrypted && image.record.devices?.[0]?.encrypted === true)
      throw raise("UnsupportedOperation", { operation: "CreateReplaceRootVolumeTask with an encrypted image" })
    return sourceOfImage(image, record)
  }
  const { snapshot } = volume.record
  if (SnapshotId !== undefined && SnapshotId !== snapshot) return sourceOfSnapshot(call, volume, SnapshotId)
  const own = snapshot === undefined ? undefined : await call.find(snapshotKind, snapshot)
  const launch = { snapshot, leastGiB: 0 }
  if (own !== undefined) return { ...launch, bytes: { snapshot: own.id } }
  if (record.launchedImage === undefined) return { ...launch, bytes: { image: record.image } }
  // It is of an image made here, or of a stand-in.
  const { standsFor, rootSnapshot } = (await findImage(call, record.image, record.type)).record
  if (standsFor !== undefined) return { ...launch, bytes: { image: record.launchedImage } }
  if (snapshot === rootSnapshot && snapshot !== undefined) return { ...launch, bytes: { snapshot } }
  throw raise("IncorrectState", { detail: `The snapshot that the root volume '${volume.id}' was made of is gone.` })
}

function sourceOfImage(image: Resource<ImageRecord>, instance: InstanceRecord): Source {
  const { id, record } = image
  for (const name of ["architecture", "platform"] as const)
    if (record[name] !== instance[name])
      throw raise("InvalidParameterValue", { detail: `The ${name} of the image '${id}' is not that of the instance.` })
  const { rootSnapshot: snapshot, rootSizeGiB: leastGiB } = record
  const bytes = record.devices === undefined ? { image: record.standsFor?.id ?? id } : { snapshot }
  return { image, bytes, snapshot, leastGiB }
}

/** "The specified snapshot must be a snapshot that you previously created from the original root volume." */
async function sourceOfSnapshot(call: Call, volume: Resource<VolumeRecord>, wanted: string): Promise<Source> {
  const [found] = await requireSnapshots(call, [wanted])
  if (found === undefined || found.record.volume !== volume.id)
    throw raise("InvalidParameterValue", {
      detail: `Value (${wanted}) for parameter SnapshotId is invalid. It is no snapshot of the root volume '${volume.id}'.`,
    })
  if (found.record.state !== "completed")
    throw raise("IncorrectState", { detail: `The snapshot '${wanted}' is ${found.record.state}.` })
  return { bytes: { snapshot: wanted }, snapshot: wanted, leastGiB: found.record.sizeGiB }
}

async function replace(
  call: Call,
  instance: Instance,
  device: BlockDevice,
  old: Resource<VolumeRecord>,
  task: string,
  { image, bytes, snapshot, leastGiB }: Source,
): Promise<void> {
  const { record } = instance
  const { image: imageBefore, launchedImage } = record
  const attachment = { instance: instance.id, device: device.device, deleteOnTermination: device.deleteOnTermination }
  const attaching = { attachedMs: call.nowMs, status: "attaching" as const }
  const { attachment: held, autoEnableIo: _, ...like } = old.record
  const sizeGiB = Math.max(like.sizeGiB, leastGiB)
  const fresh = call.draft.create(volumeKind, {
    ...like,
    sizeGiB,
    createdMs: call.nowMs,
    state: "creating",
    attachment: { ...attachment, ...attaching },
    tags: [],
    ...(snapshot !== undefined && { snapshot }),
  })
  if (held) call.draft.update(volumeKind, old, { ...old.record, attachment: { ...held, status: "detaching" } })
  const key = like.kmsKey === undefined ? undefined : findKey(call, like.kmsKey).id
  call.draft.assign(localHost, fresh.id, {
    kind: "volume",
    id: fresh.id,
    sizeBytes: sizeGiB * 2 ** 30,
    ...bytes,
    ...(key !== undefined && { key }),
  })
  const { launchedImage: _l, ...rest } = record
  const boots = image === undefined ? launchedImage : (image.record.boots ?? image.record.standsFor?.id)
  const changed = call.draft.update(instanceKind, instance, {
    ...rest,
    image: image?.id ?? imageBefore,
    ...(boots !== undefined && { launchedImage: boots }),
    starts: record.starts + 1,
    blockDevices: record.blockDevices.map((each) =>
      each === device ? { ...each, ...attaching, volume: fresh.id } : each,
    ),
    rootReplacement: {
      task,
      replaced: old.id,
      before: { image: imageBefore, ...(launchedImage !== undefined && { launchedImage }) },
    },
  })
  await reassignGuest(call, changed)
}

const describeReplaceRootVolumeTasks: Handler<"DescribeReplaceRootVolumeTasks"> = async (input, call) => {
  const page = await call.describe({
    kind: replaceRootVolumeTaskKind,
    ids: input.ReplaceRootVolumeTaskIds,
    filterNames: ["instance-id"],
    bounds: [1, 50],
    ...asked(input),
  })
  return { ReplaceRootVolumeTasks: page.items.map(toTask), ...nextToken(page) }
}

function toTask({ id, record }: Resource<ReplaceRootVolumeTaskRecord>): ReplaceRootVolumeTask {
  return {
    ReplaceRootVolumeTaskId: id,
    InstanceId: record.instance,
    TaskState: record.state,
    StartTime: new Date(record.startedMs).toISOString(),
    DeleteReplacedRootVolume: record.deleteReplaced,
    Tags: toTags(record.tags),
    ...(record.completedMs === undefined ? {} : { CompleteTime: new Date(record.completedMs).toISOString() }),
    ...(record.image === undefined ? {} : { ImageId: record.image }),
    ...(record.snapshot === undefined ? {} : { SnapshotId: record.snapshot }),
  }
}

export const handlers = {
  CreateReplaceRootVolumeTask: createReplaceRootVolumeTask,
  DescribeReplaceRootVolumeTasks: pure(describeReplaceRootVolumeTasks),
} satisfies Handlers
