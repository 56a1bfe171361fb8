import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const operation = "CreateReplaceRootVolumeTask"

/** The instance as it is shown, and its root volume. */
async function shown({ ec2 }: TestCloud, id: string) {
  const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
  const instance = Reservations[0]?.Instances?.[0] ?? assert.fail("no instance")
  const root = instance.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === instance.RootDeviceName)
  return { instance, root: root?.Ebs?.VolumeId ?? assert.fail("no root volume") }
}

export const rootVolumes = {
  async CreateReplaceRootVolumeTask(cloud) {
    const { ec2, refusal, launch, daemon, name } = cloud
    const [InstanceId] = await launch()
    const before = await shown(cloud, InstanceId)
    const Tags = [{ Key: "of", Value: "root" }]
    const wanted = {
      InstanceId,
      ClientToken: name(),
      TagSpecifications: [{ ResourceType: "replace-root-volume-task" as const, Tags }],
    }
    const refused = (more: object) => refusal(operation, { InstanceId, ...more })
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ VolumeId: "vol-00000000" }), "400 UnsupportedOperation")
    assert.equal(await refused({ SnapshotId: "snap-00000000" }), "400 InvalidSnapshot.NotFound")
    assert.equal(await refused({ ImageId: "ami-00000000" }), "400 InvalidAMIID.NotFound")
    const both = { SnapshotId: "snap-00000000", ImageId: cloud.image }
    assert.equal(await refused(both), "400 InvalidParameterCombination")
    assert.equal(await refused({ InstanceId: "i-00000000000000000" }), "400 InvalidInstanceID.NotFound")
    const { ReplaceRootVolumeTask: task } = await ec2(operation, wanted)
    const id = task?.ReplaceRootVolumeTaskId ?? ""
    assert.match(id, /^replacevol-[0-9a-f]{17}$/)
    assert.deepEqual([task?.TaskState, task?.InstanceId, task?.Tags], ["pending", InstanceId, Tags])
    assert.equal((await ec2(operation, wanted)).ReplaceRootVolumeTask?.ReplaceRootVolumeTaskId, id)
    await daemon.settled()
    const after = await shown(cloud, InstanceId)
    assert.notEqual(after.root, before.root)
    const same = ({ State, PrivateIpAddress, PublicIpAddress, ImageId }: typeof after.instance) =>
      [State?.Name, PrivateIpAddress, PublicIpAddress, ImageId].join()
    assert.equal(same(after.instance), same(before.instance))
    const { Volumes = [] } = await ec2("DescribeVolumes", { VolumeIds: [before.root, after.root] })
    assert.deepEqual(
      Volumes.map(({ State, Size, Attachments }) => [State, Size, Attachments?.length]),
      [
        ["available", Volumes[1]?.Size, 0],
        ["in-use", Volumes[0]?.Size, 1],
      ],
    )
    // Again, of an image by its id, and the one that goes is deleted.
    await ec2(operation, { InstanceId, ImageId: cloud.image, DeleteReplacedRootVolume: true })
    await daemon.settled()
    assert.equal(await refusal("DescribeVolumes", { VolumeIds: [after.root] }), "400 InvalidVolume.NotFound")
    // Again, of a snapshot of the volume that it has.
    const { root: VolumeId } = await shown(cloud, InstanceId)
    const { SnapshotId } = await ec2("CreateSnapshot", { VolumeId })
    await daemon.settled()
    await ec2(operation, { InstanceId, SnapshotId })
    await daemon.settled()
    const { root } = await shown(cloud, InstanceId)
    assert.equal((await ec2("DescribeVolumes", { VolumeIds: [root] })).Volumes?.[0]?.SnapshotId, SnapshotId)
    await ec2("StopInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    assert.equal(await refused({}), "400 IncorrectInstanceState")
  },

  async DescribeReplaceRootVolumeTasks(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [InstanceId] = await launch()
    const { ReplaceRootVolumeTask: made } = await ec2(operation, { InstanceId })
    await daemon.settled()
    const Filters = [{ Name: "instance-id", Values: [InstanceId] }]
    const { ReplaceRootVolumeTasks: [task, ...others] = [] } = await ec2("DescribeReplaceRootVolumeTasks", { Filters })
    assert.deepEqual(others, [])
    assert.equal(task?.ReplaceRootVolumeTaskId, made?.ReplaceRootVolumeTaskId)
    assert.deepEqual([task?.TaskState, task?.StartTime], ["succeeded", made?.StartTime])
    assert.ok(Date.parse(task?.CompleteTime ?? "") >= Date.parse(task?.StartTime ?? ""))
    const ReplaceRootVolumeTaskIds = ["replacevol-00000000000000000"]
    const missing = await refusal("DescribeReplaceRootVolumeTasks", { ReplaceRootVolumeTaskIds })
    assert.equal(missing, "400 InvalidReplaceRootVolumeTaskId.NotFound")
  },
} satisfies Checks
