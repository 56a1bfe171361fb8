/**
 * CreateImage. Snapshots of the instance's volumes, all of one moment: with the guest shut down and started again, or with NoReboot while it
 * stands still. What the image is made of are copies; the instance may go. After "Create an Amazon EBS-backed AMI".
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { type DeviceWish, readDevices, type VolumeSettings, volumeSettings } from "../instances/launch/devices.ts"
import { type BlockDevice, instanceKind, type InstanceRecord } from "../instances/record.ts"
import { createSnapshots } from "../snapshots/create.ts"
import { tagsFor } from "../tags/specifications.ts"
import { type VolumeRecord, volumeKind } from "../volumes/record.ts"
import type { ImageDevice } from "./devices.ts"
import { claimName, readDescription, readName } from "./names.ts"
import { imageKind } from "./record.ts"

export const createImage: Handler<"CreateImage"> = async (input, call) => {
  const name = readName(input.Name)
  const description = readDescription(input.Description)
  const wishes = readMappings(input.BlockDeviceMappings)
  const tags = (type: string) => tagsFor(input.TagSpecifications, type, ["image", "snapshot"])
  const [imageTags, snapshotTags] = [tags("image"), tags("snapshot")]
  if (input.SnapshotLocation !== undefined && input.SnapshotLocation !== "regional")
    throw raise("UnsupportedOperation", { operation: "CreateImage with SnapshotLocation" })
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:CreateImage", instance)
  const { record } = instance
  if (record.state !== "running" && record.state !== "stopped")
    throw raise("IncorrectInstanceState", {
      detail: `The instance '${instance.id}' is ${record.state}: an image can be made of one that is running or stopped.`,
    })
  const kept = await keptVolumes(call, record, wishes)
  const snapshots = await createSnapshots(
    call,
    kept.map(({ volume }) => ({
      from: { volume: volume.id },
      sizeGiB: volume.record.sizeGiB,
      description: `Created by CreateImage(${instance.id}) for ${volume.id}`,
      kmsKey: volume.record.kmsKey,
      tags: snapshotTags,
    })),
    { guest: instance.id, atRest: record.state === "running" && input.NoReboot !== true },
  )
  const devices = kept.map(({ device, volume, wish }, index) => imageDevice(device, volume, wish, snapshots[index]!.id))
  const [root] = devices
  if (root === undefined) throw new Error(`${instance.id} has no root volume`)
  const image = call.draft.create(imageKind, {
    name,
    description,
    architecture: record.architecture,
    ...(record.platform === undefined ? {} : { platform: record.platform }),
    state: "pending",
    createdMs: call.nowMs,
    rootDeviceName: root.device,
    rootSnapshot: root.snapshot ?? "",
    rootSizeGiB: root.sizeGiB,
    public: false,
    users: [],
    devices: [...devices, ...newDevices(record, wishes)],
    boots: record.launchedImage ?? record.image,
    sourceInstance: instance.id,
    tags: imageTags,
  })
  await claimName(call, name, image.id)
  call.draft.expect(instance)
  for (const { id } of snapshots) call.draft.link(image.id, id, "blocks")
  await call.commit()
  return { ImageId: image.id }
}

function readMappings(mappings: Input<"CreateImage">["BlockDeviceMappings"]): readonly DeviceWish[] {
  const wishes = readDevices(mappings ?? [])
  for (const { device, encrypted, kmsKey } of wishes)
    if (encrypted !== undefined || kmsKey !== undefined)
      throw raise("InvalidBlockDeviceMapping", {
        detail: `the encrypted flag cannot be specified since device ${device} has a snapshot specified.`,
      })
  return wishes
}

interface Kept {
  readonly device: BlockDevice
  readonly volume: Resource<VolumeRecord>
  readonly wish: DeviceWish | undefined
}

/** The volumes that the image is to have, the root first. */
async function keptVolumes(
  call: Call,
  record: InstanceRecord,
  wishes: readonly DeviceWish[],
): Promise<readonly Kept[]> {
  const isRoot = ({ device }: Pick<BlockDevice, "device">) => device === record.rootDevice
  if (wishes.some((wish) => wish.none && isRoot(wish)))
    throw raise("InvalidBlockDeviceMapping", { detail: "The root device cannot be left out" })
  const volumes = await call.load(
    volumeKind,
    record.blockDevices.map(({ volume }) => volume),
  )
  return record.blockDevices
    .toSorted((a, b) => Number(isRoot(b)) - Number(isRoot(a)))
    .flatMap((device) => {
      const wish = wishes.find((each) => each.device === device.device)
      const volume = volumes.get(device.volume)
      return volume === undefined || wish?.none === true ? [] : [{ device, volume, wish }]
    })
}

function imageDevice(
  { device, deleteOnTermination }: BlockDevice,
  { record }: Resource<VolumeRecord>,
  wish: DeviceWish | undefined,
  snapshot: string,
): ImageDevice {
  // Figures of a type go with it: with another type its own defaults count.
  const { iops, throughputMiBps } = wish?.type === undefined || wish.type === record.type ? record : {}
  const figures = {
    ...(iops === undefined || (wish?.type ?? record.type) === "gp2" ? {} : { iops }),
    ...(throughputMiBps === undefined ? {} : { throughputMiBps }),
  }
  const settings = shownSettings({ ...figures, ...(wish ?? { device, none: false }) }, record)
  if (settings.sizeGiB < record.sizeGiB)
    throw raise("InvalidBlockDeviceMapping", {
      detail: `Volume of size ${settings.sizeGiB}GB is smaller than snapshot '${snapshot}', expect size>= ${record.sizeGiB}GB`,
    })
  return {
    device,
    snapshot,
    ...settings,
    deleteOnTermination: wish?.deleteOnTermination ?? deleteOnTermination,
    encrypted: record.encrypted,
    ...(record.kmsKey === undefined ? {} : { kmsKey: record.kmsKey }),
  }
}

/** What follows from the size of a gp2 volume is no setting. */
function shownSettings(...given: Parameters<typeof volumeSettings>): VolumeSettings {
  const { iops, ...settings } = volumeSettings(...given)
  return iops === undefined || settings.type === "gp2" ? settings : { ...settings, iops }
}

/** Empty volumes that the image adds to those of the instance. */
function newDevices(record: InstanceRecord, wishes: readonly DeviceWish[]): readonly ImageDevice[] {
  const added = wishes.filter(
    ({ device, none }) => !none && record.blockDevices.every((each) => each.device !== device),
  )
  return added.map((wish) => ({
    device: wish.device,
    ...shownSettings(wish, { type: "gp2" }),
    deleteOnTermination: wish.deleteOnTermination ?? true,
    encrypted: false,
  }))
}
