import type { Image } from "@aws-sdk/client-ec2"
import type { TestCloud } from "../operations/cloud.ts"
import { only, type Replay, type State, tagged, tagsOf, until } from "./replay.ts"

const find = async ({ ec2 }: TestCloud, id: string): Promise<Image | undefined> => {
  const images = async () => (await ec2("DescribeImages", { ImageIds: [id] })).Images
  const image = await only(images(), ({ ImageId }) => ImageId === id, ["InvalidAMIID.NotFound"])
  return image?.State === "deregistered" ? undefined : image
}

const available = (cloud: TestCloud, id: string) =>
  until("available", ["pending"], async () => (await find(cloud, id))?.State ?? "gone")

async function read(cloud: TestCloud, id: string): Promise<State | undefined> {
  const image = await find(cloud, id)
  if (image === undefined) return undefined
  const { ImageId: _, State: __, CreationDate: ___, Tags, BlockDeviceMappings, Name, Description, ...rest } = image
  return {
    ...rest,
    name: Name,
    description: Description ?? "",
    deprecation_time: image.DeprecationTime ?? "",
    ebs_block_device: BlockDeviceMappings,
    tags: tagsOf(Tags),
  }
}

const describedAnew = "changed"
/** In a year or so, to the minute. */
const DeprecateAt = new Date((Math.floor(Date.now() / 60_000) + 500_000) * 60_000).toISOString()

/** What the three kinds of image have in common: they are read, changed and destroyed the same way. */
const common = {
  read,
  async update(cloud: TestCloud, id: string) {
    await cloud.ec2("ModifyImageAttribute", {
      ImageId: id,
      Description: { Value: describedAnew },
    })
    await until(describedAnew, ["first"], async () => (await find(cloud, id))?.Description ?? "")
    await cloud.ec2("EnableImageDeprecation", { ImageId: id, DeprecateAt: new Date(DeprecateAt) })
    await until(DeprecateAt, [""], async () => (await find(cloud, id))?.DeprecationTime ?? "")
  },
  changed: { description: describedAnew, deprecation_time: DeprecateAt, DeprecationTime: DeprecateAt },
  /** With its snapshots, one by one; it must not be listed any more. */
  async destroy(cloud: TestCloud, id: string) {
    const mappings = (await find(cloud, id))?.BlockDeviceMappings ?? []
    await cloud.ec2("DeregisterImage", { ImageId: id })
    for (const { Ebs } of mappings)
      if (Ebs?.SnapshotId) await cloud.ec2("DeleteSnapshot", { SnapshotId: Ebs.SnapshotId })
    await until("gone", ["available"], async () => (await find(cloud, id))?.State ?? "gone")
  },
} satisfies Partial<Replay>

async function createFromInstance(cloud: TestCloud, Name: string): Promise<string> {
  const [InstanceId] = await cloud.launch()
  const TagSpecifications = [tagged("image", { step: "first" })]
  const wanted = { InstanceId, Name, Description: "first", NoReboot: false, TagSpecifications }
  const { ImageId = "" } = await cloud.ec2("CreateImage", wanted)
  await available(cloud, ImageId)
  return ImageId
}

export const imageOfInstance: Replay = {
  resource: "aws_ami_from_instance",
  ...common,
  create: (cloud) => createFromInstance(cloud, "of an instance"),
  planned: { name: "of an instance", description: "first", tags: { step: "first" } },
}

export const imageCopy: Replay = {
  resource: "aws_ami_copy",
  ...common,
  async create(cloud) {
    const SourceImageId = await createFromInstance(cloud, "to be copied")
    const wanted = { Name: "a copy", Description: "first", SourceImageId, SourceRegion: "us-east-1" }
    const { ImageId = "" } = await cloud.ec2("CopyImage", wanted)
    await cloud.ec2("CreateTags", { Resources: [ImageId], Tags: [{ Key: "step", Value: "first" }] })
    await available(cloud, ImageId)
    return ImageId
  },
  planned: { name: "a copy", description: "first", tags: { step: "first" } },
}

export const snapshot: Replay = {
  resource: "aws_ebs_snapshot",
  async create({ ec2, launch }) {
    const [InstanceId] = await launch()
    const Filters = [{ Name: "attachment.instance-id", Values: [InstanceId] }]
    const { Volumes: [volume] = [] } = await ec2("DescribeVolumes", { Filters })
    const TagSpecifications = [tagged("snapshot", { step: "first" })]
    const wanted = { VolumeId: volume?.VolumeId, Description: "first", TagSpecifications }
    const { SnapshotId = "" } = await ec2("CreateSnapshot", wanted)
    const state = async () =>
      (await ec2("DescribeSnapshots", { SnapshotIds: [SnapshotId] })).Snapshots?.[0]?.State ?? ""
    await until("completed", ["pending"], state)
    return SnapshotId
  },
  async read({ ec2 }, id) {
    const snapshots = async () => (await ec2("DescribeSnapshots", { SnapshotIds: [id] })).Snapshots
    const found = await only(snapshots(), ({ SnapshotId }) => SnapshotId === id, ["InvalidSnapshot.NotFound"])
    return (
      found && {
        description: found.Description,
        encrypted: found.Encrypted,
        kms_key_id: found.KmsKeyId ?? "",
        owner_id: found.OwnerId,
        storage_tier: found.StorageTier ?? "standard",
        volume_id: found.VolumeId,
        volume_size: found.VolumeSize,
        tags: tagsOf(found.Tags),
      }
    )
  },
  planned: { description: "first", encrypted: false, storage_tier: "standard", tags: { step: "first" } },
  async update({ ec2 }, id) {
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy({ ec2 }, id) {
    await ec2("DeleteSnapshot", { SnapshotId: id })
  },
}
