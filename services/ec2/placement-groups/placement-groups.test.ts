/** What a guest reads of its placement, and what happens where calls for one group meet. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { GuestSpec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"
import { observe } from "../service.ts"

const name = "fractus-micro-test-x86_64"
const one = { ImageId: imageIdOf(name), InstanceType: "t3.micro" as const, MinCount: 1, MaxCount: 1 }

async function openWithImage(t: TestContext): Promise<Rig> {
  const rig = await openRig(t)
  const facts = { description: "", rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30, createdMs: 0 }
  await registerPublicImages(rig.cloud, [{ ...facts, id: one.ImageId, name, architecture: "x86_64" }])
  return rig
}

test("a guest's metadata says its group and partition, and follows a move", async (t) => {
  const rig = await openWithImage(t)
  await rig.ec2("CreatePlacementGroup", { GroupName: "seven", Strategy: "partition", PartitionCount: 7 })
  const Placement = { GroupName: "seven", PartitionNumber: 5 }
  const { Instances: [made] = [] } = await rig.ec2("RunInstances", { ...one, Placement })
  const InstanceId = made?.InstanceId ?? assert.fail("no instance")
  const read = async () => {
    const rows = await rig.cloud.store.assignments("local")
    const spec = rows.find(({ resource }) => resource === InstanceId)?.spec as GuestSpec | undefined
    return ["group-name", "partition-number"].map((key) => spec?.metadata.tree[`meta-data/placement/${key}`])
  }
  assert.deepEqual(await read(), ["seven", "5"])
  const off = { kind: "guest", phase: "off", starts: 1, resets: 0 } as const
  await observe(rig.cloud, { resource: InstanceId, generation: 1, status: { ...off, phase: "on" } })
  await rig.ec2("StopInstances", { InstanceIds: [InstanceId] })
  await observe(rig.cloud, { resource: InstanceId, generation: 2, status: off })
  await rig.ec2("ModifyInstancePlacement", { InstanceId, PartitionNumber: 2 })
  assert.deepEqual(await read(), ["seven", "2"])
  await rig.ec2("ModifyInstancePlacement", { InstanceId, GroupName: "" })
  assert.deepEqual(await read(), [undefined, undefined])
})

test("a launch into a group that is deleted meanwhile is refused, or the deletion is", async (t) => {
  const rig = await openWithImage(t)
  for (let round = 0; round < 5; round++) {
    const GroupName = `round-${round}`
    await rig.ec2("CreatePlacementGroup", { GroupName, Strategy: "spread" })
    const [launch, deletion] = await Promise.allSettled([
      rig.ec2("RunInstances", { ...one, Placement: { GroupName } }),
      rig.ec2("DeletePlacementGroup", { GroupName }),
    ])
    assert.deepEqual([launch.status, deletion.status].toSorted(), ["fulfilled", "rejected"])
    const Filters = [{ Name: "group-name", Values: [GroupName] }]
    const { PlacementGroups } = await rig.ec2("DescribePlacementGroups", { Filters })
    assert.equal(PlacementGroups?.length, launch.status === "fulfilled" ? 1 : 0)
  }
})

test("another account does not see a group, and may have one of the same name", async (t) => {
  const rig = await openWithImage(t)
  const GroupName = "mine"
  const made = await rig.ec2("CreatePlacementGroup", { GroupName, Strategy: "spread" })
  const other = { account: "210987654321" }
  const GroupId = made.PlacementGroup?.GroupId ?? ""
  const theirs = { ...one, Placement: { GroupId } }
  assert.match(await rig.fault("RunInstances", theirs, other), /^InvalidPlacementGroup.Unknown/)
  assert.match(await rig.fault("DeletePlacementGroup", { GroupName }, other), /^InvalidPlacementGroup.Unknown/)
  await rig.ec2("CreatePlacementGroup", { GroupName, Strategy: "cluster" }, other)
  const { PlacementGroups } = await rig.ec2("DescribePlacementGroups", {}, other)
  assert.deepEqual(
    PlacementGroups?.map(({ Strategy }) => Strategy),
    ["cluster"],
  )
})
