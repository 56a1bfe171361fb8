/** Placement groups, and what launches, starts and moves feel of them. */
import assert from "node:assert/strict"
import type { _InstanceType, Placement } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

async function newGroup({ ec2, name }: TestCloud, more: object): Promise<string> {
  const GroupName = name()
  await ec2("CreatePlacementGroup", { GroupName, Strategy: "spread", ...more })
  return GroupName
}

const one = { InstanceType: "t3.micro" as _InstanceType, MinCount: 1, MaxCount: 1 }

async function placementOf({ ec2 }: TestCloud, id: string): Promise<Placement> {
  const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0]?.Placement ?? assert.fail("no instance")
}

export const placementGroups = {
  async CreatePlacementGroup(cloud) {
    const { ec2, refusal, name, daemon } = cloud
    const operation = "CreatePlacementGroup"
    const GroupName = name()
    const Tags = [{ Key: "of", Value: "racks" }]
    const TagSpecifications = [{ ResourceType: "placement-group" as const, Tags }]
    const { PlacementGroup: made } = await ec2(operation, { GroupName, Strategy: "spread", TagSpecifications })
    assert.match(made?.GroupId ?? "", /^pg-[0-9a-f]{17}$/)
    const arn = `arn:aws:ec2:us-east-1:${daemon.credentials.account}:placement-group/${GroupName}`
    assert.deepEqual(
      [made?.GroupName, made?.GroupArn, made?.State, made?.Strategy, made?.SpreadLevel, made?.Tags],
      [GroupName, arn, "available", "spread", "rack", Tags],
    )
    const partitions = async (more: object) =>
      (await ec2(operation, { GroupName: name(), Strategy: "partition", ...more })).PlacementGroup?.PartitionCount
    assert.deepEqual([await partitions({}), await partitions({ PartitionCount: 7 })], [2, 7])

    const refused = (input: object) => refusal(operation, { GroupName: name(), Strategy: "spread", ...input })
    assert.equal(await refused({ GroupName }), "400 InvalidPlacementGroup.Duplicate")
    assert.equal(await refused({ GroupName: "x".repeat(256) }), "400 InvalidParameterValue")
    assert.equal(await refused({ GroupName: "gruppe-ä" }), "400 InvalidParameterValue")
    assert.equal(await refused({ GroupName: undefined }), "400 MissingParameter")
    assert.equal(await refused({ Strategy: undefined }), "400 MissingParameter")
    assert.equal(await refused({ Strategy: "scatter" }), "400 InvalidParameterValue")
    assert.equal(await refused({ SpreadLevel: "host" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ Strategy: "cluster", SpreadLevel: "rack" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ PartitionCount: 2 }), "400 InvalidParameterCombination")
    for (const PartitionCount of [0, 8])
      assert.equal(await refused({ Strategy: "partition", PartitionCount }), "400 InvalidParameterValue")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    await spreadHasSevenPlaces(cloud)
    await partitionsAreFilledEvenly(cloud)
    await clusterStaysInItsZone(cloud)
  },

  async DescribePlacementGroups(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribePlacementGroups"
    const GroupName = await newGroup(cloud, { Strategy: "partition", PartitionCount: 3 })
    const { PlacementGroups: [group] = [] } = await ec2(operation, { GroupNames: [GroupName] })
    assert.deepEqual([group?.Strategy, group?.PartitionCount, group?.SpreadLevel], ["partition", 3, undefined])
    const { PlacementGroups: byId = [] } = await ec2(operation, { GroupIds: [group?.GroupId ?? ""] })
    assert.deepEqual(byId, [group])
    const Filters = [
      { Name: "strategy", Values: ["partition"] },
      { Name: "group-arn", Values: [group?.GroupArn ?? ""] },
    ]
    assert.deepEqual((await ec2(operation, { Filters })).PlacementGroups, [group])
    const missing = { GroupNames: [GroupName, "nobody"] }
    assert.equal(await refusal(operation, missing), "400 InvalidPlacementGroup.Unknown")
    assert.equal(await refusal(operation, { GroupIds: ["group"] }), "400 InvalidPlacementGroupId.Malformed")
  },

  async DeletePlacementGroup(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "DeletePlacementGroup"
    const GroupName = await newGroup(cloud, {})
    const [id] = await launch({ Placement: { GroupName } })
    assert.equal(await refusal(operation, { GroupName }), "400 InvalidPlacementGroup.InUse")
    await ec2("StopInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await refusal(operation, { GroupName }), "400 InvalidPlacementGroup.InUse")
    await ec2("TerminateInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await refusal(operation, { GroupName, DryRun: true }), "412 DryRunOperation")
    await ec2(operation, { GroupName })
    assert.equal(await refusal(operation, { GroupName }), "400 InvalidPlacementGroup.Unknown")
    // Its name is free again, and the new group has nobody in it.
    await ec2("CreatePlacementGroup", { GroupName, Strategy: "cluster" })
    await ec2(operation, { GroupName })
  },
} satisfies Checks

/** Seven run in a zone, however many ask at once; a stopped one makes room, and finds none when it comes back. */
async function spreadHasSevenPlaces(cloud: TestCloud): Promise<void> {
  const { ec2, refusal, launch, daemon, image } = cloud
  const GroupName = await newGroup(cloud, {})
  const Placement = { GroupName, AvailabilityZone: "us-east-1a" }
  const asked = { ...one, ImageId: image, Placement }
  const tooMany = { ...asked, MinCount: 8, MaxCount: 9 }
  assert.equal(await refusal("RunInstances", tooMany), "500 InsufficientInstanceCapacity")
  const runs = await Promise.allSettled(Array.from({ length: 9 }, () => ec2("RunInstances", asked)))
  const ids = runs.flatMap((run) => (run.status === "fulfilled" ? (run.value.Instances?.[0]?.InstanceId ?? "") : []))
  assert.equal(ids.length, 7)
  await daemon.settled()
  assert.equal(await refusal("RunInstances", asked), "500 InsufficientInstanceCapacity")
  // Another zone has places of its own; as many are launched as there are.
  const elsewhere = await launch({ Placement: { GroupName, AvailabilityZone: "us-east-1b" }, MaxCount: 9 })
  assert.equal(elsewhere.length, 7)
  const [first = ""] = ids
  await ec2("StopInstances", { InstanceIds: [first] })
  await daemon.settled()
  const [next] = await launch({ Placement })
  assert.equal(await refusal("StartInstances", { InstanceIds: [first] }), "500 InsufficientInstanceCapacity")
  // Moved out of the group it may run.
  await ec2("ModifyInstancePlacement", { InstanceId: first, GroupName: "" })
  assert.equal((await placementOf(cloud, first)).GroupName ?? "", "")
  await ec2("StartInstances", { InstanceIds: [first] })
  await ec2("TerminateInstances", { InstanceIds: [...ids, ...elsewhere, next] })
  await daemon.settled()
}

async function partitionsAreFilledEvenly(cloud: TestCloud): Promise<void> {
  const { ec2, refusal, launch, daemon, image } = cloud
  const GroupName = await newGroup(cloud, { Strategy: "partition", PartitionCount: 3 })
  const ids = await launch({ Placement: { GroupName }, MinCount: 4, MaxCount: 4 })
  const numbers = await Promise.all(ids.map(async (id) => (await placementOf(cloud, id)).PartitionNumber))
  assert.deepEqual(
    numbers.map(Number).toSorted((a, b) => a - b),
    [1, 1, 2, 3],
  )
  const [third] = await launch({ Placement: { GroupName, PartitionNumber: 3 } })
  const { GroupId, PartitionNumber } = await placementOf(cloud, third)
  assert.equal(PartitionNumber, 3)
  const Filters = [
    { Name: "placement-group-name", Values: [GroupName] },
    { Name: "placement-partition-number", Values: ["3"] },
  ]
  assert.equal((await ec2("DescribeInstances", { Filters })).Reservations?.length, 2)
  const refused = (Placement: object) => refusal("RunInstances", { ...one, ImageId: image, Placement })
  assert.equal(await refused({ GroupName, PartitionNumber: 4 }), "400 InvalidParameterValue")
  assert.equal(await refused({ GroupName, GroupId }), "400 InvalidParameterCombination")
  assert.equal(await refused({ PartitionNumber: 1 }), "400 InvalidParameterCombination")
  assert.equal(await refused({ GroupName: "nobody's" }), "400 InvalidPlacementGroup.Unknown")
  assert.equal(await refused({ GroupId: "pg-00000000000000000" }), "400 InvalidPlacementGroup.Unknown")
  const spread = await newGroup(cloud, {})
  assert.equal(await refused({ GroupName: spread, PartitionNumber: 1 }), "400 InvalidParameterCombination")

  await ec2("StopInstances", { InstanceIds: [third] })
  await daemon.settled()
  const move = async (change: object) => {
    await ec2("ModifyInstancePlacement", { InstanceId: third, ...change })
    const { GroupName: name, PartitionNumber: partition } = await placementOf(cloud, third)
    return [name, partition]
  }
  assert.deepEqual(await move({ PartitionNumber: 2 }), [GroupName, 2])
  assert.deepEqual(await move({ GroupName: spread }), [spread, undefined])
  assert.deepEqual(await move({ GroupId, PartitionNumber: 1 }), [GroupName, 1])
  await ec2("TerminateInstances", { InstanceIds: [...ids, third] })
  await daemon.settled()
}

async function clusterStaysInItsZone(cloud: TestCloud): Promise<void> {
  const { ec2, refusal, launch, daemon, image } = cloud
  const GroupName = await newGroup(cloud, { Strategy: "cluster" })
  const InstanceType = "c5.large"
  const small = { ...one, ImageId: image, Placement: { GroupName } }
  assert.equal(await refusal("RunInstances", small), "400 InvalidParameterCombination")
  const inB = { GroupName, AvailabilityZone: "us-east-1b" }
  const [first] = await launch({ InstanceType, Placement: inB })
  // Without a zone of its own it goes where the others are.
  const [second] = await launch({ InstanceType, Placement: { GroupName } })
  assert.equal((await placementOf(cloud, second)).AvailabilityZone, "us-east-1b")
  const apart = { ...small, InstanceType, Placement: { GroupName, AvailabilityZone: "us-east-1a" } } as const
  assert.equal(await refusal("RunInstances", apart), "400 InvalidPlacementGroup.InUse")
  const { Instances = [] } = await ec2("DescribeInstanceTopology", { GroupNames: [GroupName] })
  assert.deepEqual(
    Instances.map(({ GroupName: name, ZoneId }) => [name, ZoneId]),
    [
      [GroupName, "use1-az2"],
      [GroupName, "use1-az2"],
    ],
  )
  await ec2("TerminateInstances", { InstanceIds: [first, second] })
  await daemon.settled()
  await launch({ ...apart })
}
