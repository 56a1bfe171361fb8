import assert from "node:assert/strict"
import type { CreateCapacityReservationRequest } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "cr-00000000000000000"
const usual = {
  InstanceType: "c5.large",
  InstancePlatform: "Linux/UNIX",
  AvailabilityZone: "us-east-1b",
  InstanceCount: 2,
} as const

async function reserve({ ec2 }: TestCloud, more: Partial<CreateCapacityReservationRequest> = {}) {
  const { CapacityReservation: made } = await ec2("CreateCapacityReservation", { ...usual, ...more })
  return made?.CapacityReservationId ?? assert.fail("no reservation")
}

async function shown({ ec2 }: TestCloud, id: string) {
  const { CapacityReservations } = await ec2("DescribeCapacityReservations", { CapacityReservationIds: [id] })
  return CapacityReservations?.[0] ?? assert.fail("no reservation")
}

const cancel = ({ ec2 }: TestCloud, CapacityReservationId: string) =>
  ec2("CancelCapacityReservation", { CapacityReservationId })

/** What every operation on one reservation refuses. */
async function refuses({ refusal }: TestCloud, operation: Parameters<TestCloud["refusal"]>[0], more: object = {}) {
  const refused = (CapacityReservationId: string) => refusal(operation, { CapacityReservationId, ...more } as never)
  assert.equal(await refused(nowhere), "400 InvalidCapacityReservationId.NotFound")
  assert.equal(await refused("cr-1"), "400 InvalidCapacityReservationId.Malformed")
}

export const capacityReservations = {
  async CreateCapacityReservation(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "CreateCapacityReservation"
    const Tags = [{ Key: "of", Value: "room" }]
    const EndDate = new Date(Date.UTC(2099, 0, 1))
    const wanted = {
      ...usual,
      ClientToken: name(),
      EndDate,
      EndDateType: "limited",
      InstanceMatchCriteria: "targeted",
      TagSpecifications: [{ ResourceType: "capacity-reservation", Tags }],
    } satisfies CreateCapacityReservationRequest
    const { CapacityReservation: made } = await ec2(operation, wanted)
    const id = made?.CapacityReservationId ?? ""
    assert.match(id, /^cr-[0-9a-f]{17}$/)
    const { daemon } = cloud
    assert.equal(
      made?.CapacityReservationArn,
      `arn:aws:ec2:us-east-1:${daemon.credentials.account}:capacity-reservation/${id}`,
    )
    assert.deepEqual(made, await shown(cloud, id))
    assert.deepEqual(
      [made.State, made.AvailabilityZoneId, made.AvailableInstanceCount, made.EndDate, made.Tenancy, made.Tags],
      ["active", "use1-az2", 2, EndDate, "default", Tags],
    )
    assert.equal((await ec2(operation, wanted)).CapacityReservation?.CapacityReservationId, id)

    const refused = (input: object) => refusal(operation, { ...usual, ...input })
    assert.equal(await refused({ ...wanted, InstanceCount: 3 }), "400 IdempotentParameterMismatch")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    for (const name of ["InstanceType", "InstancePlatform", "InstanceCount", "AvailabilityZone"])
      assert.equal(await refused({ [name]: undefined }), "400 MissingParameter", name)
    assert.equal(await refused({ AvailabilityZoneId: "use1-az2" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ EndDate, EndDateType: "unlimited" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ EndDateType: "limited" }), "400 MissingParameter")
    for (const wrong of [
      { AvailabilityZone: "eu-west-1a" },
      { EndDate: new Date(0) },
      { InstanceCount: 0 },
      { InstanceCount: 1001 },
      { InstancePlatform: "Plan 9" },
      { InstanceType: "c5.tiny" },
    ])
      assert.equal(await refused(wrong), "400 InvalidParameterValue", JSON.stringify(wrong))
    assert.equal(await refused({ InstanceType: "c7g.large" }), "500 InsufficientInstanceCapacity")
    assert.equal(await refused({ Tenancy: "dedicated" }), "400 UnsupportedOperation")
    assert.equal(await refused({ StartDate: EndDate, CommitmentDuration: 1 }), "400 UnsupportedOperation")
    await cancel(cloud, id)
  },

  async DescribeCapacityReservations(cloud) {
    const { ec2, launch, refusal } = cloud
    const CapacityReservationIds = [nowhere]
    assert.equal(
      await refusal("DescribeCapacityReservations", { CapacityReservationIds }),
      "400 InvalidCapacityReservationId.NotFound",
    )
    const id = await reserve(cloud)
    const targeted = await reserve(cloud, { InstanceMatchCriteria: "targeted", InstanceCount: 1 })
    const { Subnets = [] } = await ec2("DescribeSubnets", {
      Filters: [{ Name: "availability-zone", Values: [usual.AvailabilityZone] }],
    })
    const here = { InstanceType: usual.InstanceType, SubnetId: Subnets[0]?.SubnetId ?? "" } as const
    const [open] = await launch(here)
    assert.equal((await shown(cloud, id)).AvailableInstanceCount, 1)
    assert.deepEqual((await shown(cloud, id)).CapacityAllocations, [{ AllocationType: "used", Count: 1 }])
    const CapacityReservationTarget = { CapacityReservationId: targeted }
    const [named] = await launch({ ...here, CapacityReservationSpecification: { CapacityReservationTarget } })
    assert.equal((await shown(cloud, targeted)).AvailableInstanceCount, 0)
    const found = async (Name: string, value: string) => {
      const { Reservations = [] } = await ec2("DescribeInstances", { Filters: [{ Name, Values: [value] }] })
      return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId }) => InstanceId))
    }
    assert.deepEqual(await found("capacity-reservation-id", id), [open])
    const specified = "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id"
    assert.deepEqual(await found(specified, targeted), [named])
    await cancel(cloud, id)
    await cancel(cloud, targeted)
    assert.deepEqual(await found("capacity-reservation-id", id), [])
    await ec2("TerminateInstances", { InstanceIds: [open, named] })
    await cloud.daemon.settled()
    const { CapacityReservations = [] } = await ec2("DescribeCapacityReservations", {
      Filters: [{ Name: "state", Values: ["cancelled"] }],
    })
    assert.deepEqual(
      [id, targeted].filter((each) => CapacityReservations.every((one) => one.CapacityReservationId !== each)),
      [],
    )
  },

  async GetCapacityReservationUsage(cloud) {
    await refuses(cloud, "GetCapacityReservationUsage")
    const id = await reserve(cloud, { InstanceMatchCriteria: "targeted" })
    assert.deepEqual(await cloud.ec2("GetCapacityReservationUsage", { CapacityReservationId: id }), {
      CapacityReservationId: id,
      InstanceType: usual.InstanceType,
      TotalInstanceCount: 2,
      AvailableInstanceCount: 2,
      State: "active",
      InstanceUsages: [],
    })
    await cancel(cloud, id)
  },

  async ModifyCapacityReservation(cloud) {
    const { ec2, refusal } = cloud
    const operation = "ModifyCapacityReservation"
    await refuses(cloud, operation, { InstanceCount: 1 })
    const CapacityReservationId = await reserve(cloud)
    const EndDate = new Date(Date.UTC(2098, 0, 1))
    await ec2(operation, { CapacityReservationId, InstanceCount: 5, EndDate, EndDateType: "limited" })
    const limited = await shown(cloud, CapacityReservationId)
    assert.deepEqual(
      [limited.TotalInstanceCount, limited.AvailableInstanceCount, limited.EndDateType, limited.EndDate],
      [5, 5, "limited", EndDate],
    )
    await ec2(operation, { CapacityReservationId, InstanceCount: 1 })
    assert.deepEqual((await shown(cloud, CapacityReservationId)).EndDate, EndDate)
    await ec2(operation, { CapacityReservationId, EndDateType: "unlimited", InstanceMatchCriteria: "targeted" })
    const unlimited = await shown(cloud, CapacityReservationId)
    assert.deepEqual(
      [unlimited.TotalInstanceCount, unlimited.EndDate, unlimited.InstanceMatchCriteria],
      [1, undefined, "targeted"],
    )
    const refused = (input: object) => refusal(operation, { CapacityReservationId, ...input })
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ InstanceCount: 0 }), "400 InvalidParameterValue")
    assert.equal(await refused({ EndDateType: "sometime" }), "400 InvalidParameterValue")
    assert.equal(await refused({ QuoteId: "q" }), "400 UnsupportedOperation")
    assert.equal(await refused({ InstanceCount: 1, DryRun: true }), "412 DryRunOperation")
    await cancel(cloud, CapacityReservationId)
    assert.equal(await refused({ InstanceCount: 1 }), "400 IncorrectState")
  },

  async CancelCapacityReservation(cloud) {
    await refuses(cloud, "CancelCapacityReservation")
    const id = await reserve(cloud)
    assert.equal(
      await cloud.refusal("CancelCapacityReservation", { CapacityReservationId: id, DryRun: true }),
      "412 DryRunOperation",
    )
    assert.equal((await cancel(cloud, id)).Return, true)
    const { State, AvailableInstanceCount } = await shown(cloud, id)
    assert.deepEqual([State, AvailableInstanceCount], ["cancelled", 0])
    assert.equal(await cloud.refusal("CancelCapacityReservation", { CapacityReservationId: id }), "400 IncorrectState")
  },

  async CreateCapacityReservationBySplitting(cloud) {
    const { ec2, refusal, name, launch } = cloud
    const operation = "CreateCapacityReservationBySplitting"
    const source = await reserve(cloud, { InstanceCount: 4 })
    const { Subnets = [] } = await ec2("DescribeSubnets", {
      Filters: [{ Name: "availability-zone", Values: [usual.AvailabilityZone] }],
    })
    const here = { InstanceType: usual.InstanceType, SubnetId: Subnets[0]?.SubnetId ?? "" } as const
    const ids = await launch({ ...here, MinCount: 2, MaxCount: 2 })
    const Tags = [{ Key: "of", Value: "another" }]
    const wanted = {
      SourceCapacityReservationId: source,
      InstanceCount: 3,
      ClientToken: name(),
      TagSpecifications: [{ ResourceType: "capacity-reservation" as const, Tags }],
    }
    const refused = (change: object) => refusal(operation, { ...wanted, ...change })
    assert.equal(await refused({ InstanceCount: 4 }), "400 InvalidParameterValue")
    assert.equal(await refused({ InstanceCount: 0 }), "400 InvalidParameterValue")
    assert.equal(await refused({ InstanceCount: undefined }), "400 MissingParameter")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ SourceCapacityReservationId: nowhere }), "400 InvalidCapacityReservationId.NotFound")
    // Two seats that are free, and one of the two that are taken.
    const {
      SourceCapacityReservation: left,
      DestinationCapacityReservation: made,
      ...rest
    } = await ec2(operation, wanted)
    const id = made?.CapacityReservationId ?? ""
    assert.deepEqual(rest, { InstanceCount: 3 })
    assert.deepEqual([left?.TotalInstanceCount, left?.AvailableInstanceCount], [1, 0])
    assert.deepEqual([made?.TotalInstanceCount, made?.AvailableInstanceCount, made?.Tags], [3, 2, Tags])
    assert.deepEqual([left, made], [await shown(cloud, source), await shown(cloud, id)])
    assert.equal((await ec2(operation, wanted)).DestinationCapacityReservation?.CapacityReservationId, id)
    const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [...ids] })
    const seats = Reservations.flatMap(({ Instances = [] }) => Instances.map((each) => each.CapacityReservationId))
    assert.deepEqual(new Set(seats), new Set([source, id]))
    await ec2("TerminateInstances", { InstanceIds: [...ids] })
    await cloud.daemon.settled()
    assert.equal((await shown(cloud, id)).AvailableInstanceCount, 3)
    await cancel(cloud, source)
    await cancel(cloud, id)
    assert.equal(await refused({ ClientToken: name() }), "400 IncorrectState")
  },

  async MoveCapacityReservationInstances(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "MoveCapacityReservationInstances"
    const targeted = { InstanceMatchCriteria: "targeted" } as const
    const [from, to] = [await reserve(cloud, targeted), await reserve(cloud, targeted)]
    const { Subnets = [] } = await ec2("DescribeSubnets", {
      Filters: [{ Name: "availability-zone", Values: [usual.AvailabilityZone] }],
    })
    const CapacityReservationSpecification = { CapacityReservationTarget: { CapacityReservationId: from } }
    const here = { InstanceType: usual.InstanceType, SubnetId: Subnets[0]?.SubnetId ?? "" } as const
    const [id] = await launch({ ...here, CapacityReservationSpecification })
    const wanted = { SourceCapacityReservationId: from, DestinationCapacityReservationId: to, InstanceCount: 1 }
    const refused = (change: object) => refusal(operation, { ...wanted, ...change })
    // Who runs in a targeted one stays.
    assert.equal(await refused({ InstanceCount: 2 }), "400 InvalidParameterValue")
    assert.equal(await refused({ DestinationCapacityReservationId: from }), "400 InvalidParameterValue")
    assert.equal(
      await refused({ DestinationCapacityReservationId: nowhere }),
      "400 InvalidCapacityReservationId.NotFound",
    )
    assert.equal(await refused({ DestinationCapacityReservationId: undefined }), "400 MissingParameter")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    const other = await reserve(cloud, { InstanceType: "c5.xlarge" })
    assert.equal(await refused({ DestinationCapacityReservationId: other }), "400 InvalidParameterValue")
    const moved = await ec2(operation, wanted)
    assert.deepEqual(moved, {
      SourceCapacityReservation: await shown(cloud, from),
      DestinationCapacityReservation: await shown(cloud, to),
      InstanceCount: 1,
    })
    assert.deepEqual(
      [moved.SourceCapacityReservation?.TotalInstanceCount, moved.DestinationCapacityReservation?.TotalInstanceCount],
      [1, 3],
    )
    const full = { ...here, CapacityReservationSpecification, ImageId: cloud.image, MinCount: 1, MaxCount: 1 }
    assert.equal(await refusal("RunInstances", full), "400 ReservationCapacityExceeded")
    await ec2("TerminateInstances", { InstanceIds: [id] })
    await cloud.daemon.settled()
    // Nothing is left of it.
    await ec2(operation, wanted)
    assert.equal((await shown(cloud, from)).State, "cancelled")
    assert.equal((await shown(cloud, to)).AvailableInstanceCount, 4)
    await cancel(cloud, to)
    await cancel(cloud, other)
  },

  async ModifyInstanceCapacityReservationAttributes(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "ModifyInstanceCapacityReservationAttributes"
    const [InstanceId] = await launch()
    const open = { CapacityReservationPreference: "open" } as const
    const none = { CapacityReservationPreference: "none" } as const
    const refused = (CapacityReservationSpecification: object | undefined, more: object = {}) =>
      refusal(operation, { InstanceId, CapacityReservationSpecification, ...more })
    assert.equal(await refused(none), "400 IncorrectInstanceState")
    await ec2("StopInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    await ec2(operation, { InstanceId, CapacityReservationSpecification: none })
    const specification = async () => {
      const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [InstanceId] })
      return Reservations[0]?.Instances?.[0]?.CapacityReservationSpecification
    }
    assert.deepEqual(await specification(), none)
    await ec2(operation, { InstanceId, CapacityReservationSpecification: open })
    assert.deepEqual(await specification(), open)
    const target = (id: string, more: object = {}) => ({
      CapacityReservationTarget: { CapacityReservationId: id },
      ...more,
    })
    const id = await reserve(cloud)
    assert.equal(await refused(undefined), "400 MissingParameter")
    assert.equal(await refused({ CapacityReservationTarget: {} }), "400 MissingParameter")
    assert.equal(await refused({ CapacityReservationPreference: "some" }), "400 InvalidParameterValue")
    assert.equal(await refused(target(id)), "400 InvalidParameterCombination")
    assert.equal(await refused(target(id, open)), "400 InvalidParameterCombination")
    assert.equal(await refused(target(nowhere)), "400 InvalidCapacityReservationId.NotFound")
    assert.equal(await refused(none, { InstanceId: "i-00000000000000000" }), "400 InvalidInstanceID.NotFound")
    await cancel(cloud, id)
  },
} satisfies Checks
