/** Reservations on a host with room for three small instances: who may use it, and what the clock, a stop and a cancellation do. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { GuestStatus } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { Fault } from "#lib/fault.ts"
import type { Input, Output } from "#services/ec2/handler.ts"
import { registerPublicImages } from "#services/ec2/images/register.ts"
import { createEc2, type handlers, observe } from "#services/ec2/service.ts"
import { account, openRig } from "#tests/ec2/rig.ts"
import { sweepCapacityReservations } from "./handlers.ts"

type Done = keyof typeof handlers
const other = "210987654321"
const ImageId = imageIdOf("small-1-x86_64")
const small = { ImageId, InstanceType: "t3.small", MinCount: 1, MaxCount: 1 } as const
const reserve = { InstanceType: "t3.small", InstancePlatform: "Linux/UNIX", AvailabilityZone: "us-east-1a" } as const
const into = (CapacityReservationId: string) => ({
  CapacityReservationSpecification: { CapacityReservationTarget: { CapacityReservationId } },
})

/** A cloud whose host has 7 GiB for guests: three of 2 GiB and what QEMU needs beside them. */
async function openHost(t: TestContext, limits: { readonly memoryMiB?: number; readonly vcpuLimit?: number } = {}) {
  const rig = await openRig(t)
  let nowMs = Date.parse("2026-05-01T00:00:00Z")
  const { memoryMiB = 8192, vcpuLimit } = limits
  const settings = {
    ...rig.cloud.settings,
    capacity: { cpus: 2, memoryMiB },
    ...(vcpuLimit === undefined ? {} : { vcpuLimit }),
  }
  const cloud = { ...rig.cloud, clock: { ...rig.cloud.clock, cloudMs: () => nowMs }, settings }
  const image = { id: ImageId, name: "small-1-x86_64", description: "", architecture: "x86_64" } as const
  await registerPublicImages(cloud, [{ ...image, rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30, createdMs: 1 }])
  const service = createEc2(cloud)
  const ec2 = async <O extends Done>(operation: O, input: Input<O>, who = account): Promise<Output<O>> => {
    const caller = { account: who, arn: `arn:aws:iam::${who}:root`, userId: who }
    const info = { requestId: "r", operation, region: "us-east-1", caller }
    return (await service.dispatch(operation, { ...(input as object) }, info)) as never
  }
  const refused = async <O extends Done>(operation: O, input: Input<O>, who = account): Promise<string> => {
    try {
      await ec2(operation, input, who)
      return "served"
    } catch (error) {
      if (error instanceof Fault) return error.code
      throw error
    }
  }
  const launch = async (more: Partial<Input<"RunInstances">> = {}, who = account) => {
    const { Instances = [] } = await ec2("RunInstances", { ...small, SubnetId: await subnet(who), ...more }, who)
    return Instances
  }
  const subnet = async (who: string) => {
    const Filters = [{ Name: "availability-zone", Values: ["us-east-1a"] }]
    return (await ec2("DescribeSubnets", { Filters }, who)).Subnets?.[0]?.SubnetId ?? assert.fail("no subnet")
  }
  return {
    cloud,
    ec2,
    refused,
    launch,
    async create(more: Partial<Input<"CreateCapacityReservation">> = {}, who = account) {
      const answer = await ec2("CreateCapacityReservation", { ...reserve, InstanceCount: 1, ...more }, who)
      return answer.CapacityReservation?.CapacityReservationId ?? assert.fail("no reservation")
    },
    /** "active 1/2": one seat of two is free. */
    async shown(id: string) {
      const { CapacityReservations: [one] = [] } = await ec2("DescribeCapacityReservations", {
        CapacityReservationIds: [id],
      })
      return `${one?.State} ${one?.AvailableInstanceCount}/${one?.TotalInstanceCount}`
    },
    async reservationOf(id: string) {
      const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
      return Reservations?.[0]?.Instances?.[0]?.CapacityReservationId
    },
    async see(id: string, status: Partial<GuestStatus>) {
      const seen = { kind: "guest", starts: 1, trouble: undefined, ...status } as GuestStatus
      await observe(cloud, { resource: id, generation: 1, status: seen })
    },
    pass(ms: number) {
      nowMs += ms
    },
    at: () => nowMs,
    refusedLaunch: async (more: Partial<Input<"RunInstances">> = {}, who = account) =>
      refused("RunInstances", { ...small, SubnetId: await subnet(who), ...more }, who),
  }
}

test("what is reserved is no room for others, and the owner's instances run in it", async (t) => {
  const host = await openHost(t)
  const id = await host.create({ InstanceCount: 2, InstanceMatchCriteria: "targeted" })
  assert.equal(await host.shown(id), "active 2/2")
  assert.equal((await host.launch({ MaxCount: 5 }, other)).length, 1)
  assert.equal(await host.refusedLaunch({}, other), "InsufficientInstanceCapacity")
  assert.equal(
    await host.refused("CreateCapacityReservation", { ...reserve, InstanceCount: 2 }, other),
    "InsufficientInstanceCapacity",
  )
  // Its owner has to name it; what belongs to somebody else is not there.
  assert.equal(await host.refusedLaunch(), "InsufficientInstanceCapacity")
  assert.equal(await host.refusedLaunch(into(id), other), "InvalidCapacityReservationId.NotFound")
  assert.equal(await host.refusedLaunch({ ...into(id), InstanceType: "t3.micro" }), "InvalidParameterCombination")
  assert.equal(await host.refusedLaunch({ ...into(id), MinCount: 3, MaxCount: 3 }), "ReservationCapacityExceeded")
  const [first] = await host.launch(into(id))
  assert.equal(first?.CapacityReservationId, id)
  assert.deepEqual(first?.CapacityReservationSpecification, into(id).CapacityReservationSpecification)
  assert.equal(await host.shown(id), "active 1/2")
  const only = { CapacityReservationPreference: "capacity-reservations-only" } as const
  assert.equal(
    await host.refusedLaunch({ CapacityReservationSpecification: only }),
    "InsufficientInstanceCapacity",
    "none is open",
  )
  assert.equal((await host.launch({ ...into(id), MaxCount: 4 })).length, 1)
  assert.equal(await host.shown(id), "active 0/2")
  assert.deepEqual((await host.ec2("GetCapacityReservationUsage", { CapacityReservationId: id })).InstanceUsages, [
    { AccountId: account, UsedInstanceCount: 2 },
  ])
})

test("an instance leaves its seat when it stops or ends, and is matched anew when it starts", async (t) => {
  const host = await openHost(t)
  const id = await host.create()
  const [instance] = await host.launch()
  const InstanceIds = [instance?.InstanceId ?? ""]
  const [guest = ""] = InstanceIds
  assert.equal(await host.reservationOf(guest), id)
  await host.see(guest, { phase: "on" })
  await host.ec2("StopInstances", { InstanceIds })
  assert.equal(await host.shown(id), "active 0/1")
  await host.see(guest, { phase: "off" })
  assert.deepEqual([await host.shown(id), await host.reservationOf(guest)], ["active 1/1", undefined])

  const modify = (CapacityReservationSpecification: object) =>
    host.ec2("ModifyInstanceCapacityReservationAttributes", { InstanceId: guest, CapacityReservationSpecification })
  await modify({ CapacityReservationPreference: "none" })
  await host.ec2("StartInstances", { InstanceIds })
  assert.equal(await host.shown(id), "active 1/1")
  await host.see(guest, { phase: "on", starts: 2 })
  assert.equal(
    await host.refused("ModifyInstanceCapacityReservationAttributes", {
      InstanceId: guest,
      CapacityReservationSpecification: { CapacityReservationPreference: "open" },
    }),
    "IncorrectInstanceState",
  )
  await host.ec2("StopInstances", { InstanceIds })
  await host.see(guest, { phase: "off", starts: 2 })
  await modify({ CapacityReservationPreference: "capacity-reservations-only" })
  await host.ec2("StartInstances", { InstanceIds })
  assert.equal(await host.shown(id), "active 0/1")
  await host.ec2("TerminateInstances", { InstanceIds })
  await host.see(guest, { phase: "absent", starts: 3 })
  assert.equal(await host.shown(id), "active 1/1")
})

test("a limited reservation is over by the clock: the room is everybody's, its instances run on", async (t) => {
  const host = await openHost(t)
  const day = 86_400_000
  const EndDate = new Date(host.at() + day)
  const id = await host.create({ InstanceCount: 3, EndDateType: "limited", EndDate })
  const [instance] = await host.launch()
  const guest = instance?.InstanceId ?? ""
  assert.equal(await host.refusedLaunch({}, other), "InsufficientInstanceCapacity")
  host.pass(day - 1)
  assert.equal(await host.shown(id), "active 2/3")
  host.pass(1)
  assert.equal(await host.shown(id), "expired 0/3")
  const state = { Filters: [{ Name: "state", Values: ["expired"] }] }
  assert.equal((await host.ec2("DescribeCapacityReservations", state)).CapacityReservations?.length, 1)
  assert.equal(await host.refusedLaunch(into(id)), "IncorrectState")
  assert.equal(await host.refused("CancelCapacityReservation", { CapacityReservationId: id }), "IncorrectState")
  assert.equal((await host.launch({ MaxCount: 5 }, other)).length, 2)
  assert.equal(await host.reservationOf(guest), id)
  await sweepCapacityReservations(host.cloud)
  assert.equal(await host.reservationOf(guest), undefined)
  const { Reservations } = await host.ec2("DescribeInstances", { InstanceIds: [guest] })
  assert.equal(Reservations?.[0]?.Instances?.[0]?.State?.Name, "pending")
  host.pass(3_600_000)
  await sweepCapacityReservations(host.cloud)
  assert.deepEqual((await host.ec2("DescribeCapacityReservations", {})).CapacityReservations, [])
})

test("an open reservation takes in what runs, and what it has no seat for runs beside it", async (t) => {
  const host = await openHost(t)
  const none = { CapacityReservationSpecification: { CapacityReservationPreference: "none" } } as const
  const [running] = await host.launch()
  await host.launch(none)
  // Two run: room for one is left, and one of those that run comes in.
  assert.equal(
    await host.refused("CreateCapacityReservation", { ...reserve, InstanceCount: 3 }),
    "InsufficientInstanceCapacity",
  )
  const id = await host.create({ InstanceCount: 2 })
  assert.equal(await host.shown(id), "active 1/2")
  assert.equal(await host.reservationOf(running?.InstanceId ?? ""), id)
  const modify = (more: object) => host.refused("ModifyCapacityReservation", { CapacityReservationId: id, ...more })
  assert.equal(await modify({ InstanceCount: 3 }), "InsufficientInstanceCapacity")
  assert.equal(await modify({ InstanceMatchCriteria: "targeted" }), "IncorrectState")
  await host.launch()
  assert.equal(await host.shown(id), "active 0/2")
  assert.equal(await modify({ InstanceCount: 1 }), "InvalidParameterValue")
  await host.ec2("CancelCapacityReservation", { CapacityReservationId: id })
  assert.equal(await host.shown(id), "cancelled 0/2")
  assert.equal(await host.reservationOf(running?.InstanceId ?? ""), undefined)
  assert.equal(await host.refusedLaunch(), "InsufficientInstanceCapacity", "three run on")
})

test("reserved vCPUs count against the quota once, whether something runs in them or not", async (t) => {
  const host = await openHost(t, { vcpuLimit: 4, memoryMiB: 65_536 })
  await host.create({ InstanceCount: 1 })
  assert.equal(await host.refused("CreateCapacityReservation", { ...reserve, InstanceCount: 2 }), "VcpuLimitExceeded")
  assert.equal((await host.launch({ MaxCount: 5 })).length, 2)
  assert.equal(await host.refusedLaunch(), "VcpuLimitExceeded")
})

test("many launches at once never get one seat twice", async (t) => {
  const host = await openHost(t, { memoryMiB: 65_536 })
  const id = await host.create({ InstanceCount: 3, InstanceMatchCriteria: "targeted" })
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => host.refusedLaunch(into(id))))
  const served = outcomes.filter((outcome) => outcome === "served").length
  assert.equal(await host.shown(id), `active ${3 - served}/3`)
  assert.ok(served > 0 && served <= 3)
  for (const outcome of outcomes) assert.match(outcome, /^(served|ReservationCapacityExceeded|RequestLimitExceeded)$/)
})

test("of many calls at once as many get room as there is, whichever they are", async (t) => {
  const host = await openHost(t)
  const outcomes = await Promise.all([
    ...Array.from({ length: 4 }, () => host.refusedLaunch({}, other)),
    ...Array.from({ length: 4 }, () =>
      host.refused("CreateCapacityReservation", { ...reserve, InstanceCount: 1, InstanceMatchCriteria: "targeted" }),
    ),
  ])
  assert.equal(outcomes.filter((outcome) => outcome === "served").length, 3, outcomes.join(" "))
  const others = outcomes.filter((outcome) => outcome !== "served")
  assert.deepEqual([...new Set(others)], ["InsufficientInstanceCapacity"])
})
