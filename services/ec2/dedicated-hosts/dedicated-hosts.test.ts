/** Dedicated Hosts on a machine that has room for one: what it holds, where instances go, and what a stop changes. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { imageIdOf } from "#images/catalog.ts"
import { Fault } from "#lib/fault.ts"
import type { Input, Output } from "#services/ec2/handler.ts"
import { registerPublicImages } from "#services/ec2/images/register.ts"
import { createEc2, type handlers, observe } from "#services/ec2/service.ts"
import { account, openRig } from "#tests/ec2/rig.ts"
import { sweepHosts } from "./handlers.ts"

type Done = keyof typeof handlers
const other = "210987654321"
const ImageId = imageIdOf("small-1-x86_64")
const m5 = { InstanceFamily: "m5", AvailabilityZone: "us-east-1a" } as const

async function openMachine(t: TestContext, capacity?: { readonly cpus: number; readonly memoryMiB: number }) {
  const rig = await openRig(t)
  let nowMs = Date.parse("2026-05-01T00:00:00Z")
  const settings = { ...rig.cloud.settings, capacity, vcpuLimit: 8 }
  const cloud = { ...rig.cloud, clock: { ...rig.cloud.clock, cloudMs: () => nowMs }, settings }
  const image = { id: ImageId, name: "small-1-x86_64", description: "", architecture: "x86_64" } as const
  await registerPublicImages(cloud, [{ ...image, rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30, createdMs: 1 }])
  const service = createEc2(cloud)
  const ec2 = async <O extends Done>(operation: O, input: Input<O>, who = account): Promise<Output<O>> => {
    const caller = { account: who, arn: `arn:aws:iam::${who}:root`, userId: who }
    const info = { requestId: "r", operation, region: "us-east-1", caller }
    return (await service.dispatch(operation, { ...(input as object) }, info)) as never
  }
  const said = (promise: Promise<unknown>) =>
    promise.then(
      () => "served",
      (error: unknown) => {
        if (error instanceof Fault) return error.code
        throw error
      },
    )
  const run = async (InstanceType: "m5.large" | "m5.4xlarge" | "m5.12xlarge", more: object = {}, who = account) => {
    const Filters = [{ Name: "availability-zone", Values: ["us-east-1a"] }]
    const SubnetId = (await ec2("DescribeSubnets", { Filters }, who)).Subnets?.[0]?.SubnetId ?? ""
    const one = { ImageId, InstanceType, MinCount: 1, MaxCount: 1, SubnetId }
    const { Instances = [] } = await ec2("RunInstances", { ...one, ...more }, who)
    return Instances
  }
  return {
    cloud,
    ec2,
    said,
    run,
    pass(ms: number) {
      nowMs += ms
    },
    async allocate(more: object = {}) {
      const { HostIds = [] } = await ec2("AllocateHosts", { ...m5, Quantity: 1, ...more })
      return HostIds[0] ?? assert.fail("no host")
    },
    async free(id: string) {
      const { Hosts: [host] = [] } = await ec2("DescribeHosts", { HostIds: [id] })
      return host?.AvailableCapacity?.AvailableVCpus
    },
    async placement(id: string) {
      const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
      const { Tenancy, HostId, Affinity } = Reservations?.[0]?.Instances?.[0]?.Placement ?? {}
      return [Tenancy, HostId, Affinity]
    },
    async see(id: string, phase: "on" | "off" | "absent", starts: number) {
      await observe(cloud, { resource: id, generation: 1, status: { kind: "guest", phase, starts } as never })
    },
  }
}

const onHost = (more: object = {}) => ({ Placement: { Tenancy: "host", ...more } })

test("a host holds its share of the machine, and its instances take no other", async (t) => {
  const machine = await openMachine(t, { cpus: 100, memoryMiB: 500_000 })
  const { said, run, ec2 } = machine
  assert.equal(await said(machine.allocate({ Quantity: 2 })), "InsufficientHostCapacity")
  const id = await machine.allocate()
  assert.equal(await said(ec2("AllocateHosts", { ...m5, Quantity: 1 }, other)), "InsufficientHostCapacity")
  // What is left is less than 100 GiB: one of 64 fits, a second does not.
  assert.equal(await said(run("m5.4xlarge", {}, other)), "VcpuLimitExceeded")
  assert.equal((await run("m5.large", { MaxCount: 9 })).length, 4, "the quota of those beside hosts")
  const target = onHost({ HostId: id })
  assert.equal((await run("m5.12xlarge", { ...target, MaxCount: 5 })).length, 2)
  assert.equal(await machine.free(id), 0)
  assert.equal(await said(run("m5.large", target)), "InsufficientCapacityOnHost")
  assert.equal(await said(run("m5.large", onHost())), "IncompatibleHostRequirements")
  assert.equal(await said(run("m5.large", target, other)), "InvalidHostID.NotFound")
})

test("memory that a host holds is no room for others until it is released", async (t) => {
  const machine = await openMachine(t, { cpus: 96, memoryMiB: 402_000 })
  const { said, run, ec2 } = machine
  const id = await machine.allocate()
  assert.equal(await said(run("m5.large", {}, other)), "InsufficientInstanceCapacity")
  assert.equal((await run("m5.large", onHost({ HostId: id }))).length, 1)
  assert.equal(await said(run("m5.large", {}, other)), "InsufficientInstanceCapacity")
  const [instance = ""] =
    (await ec2("DescribeHosts", { HostIds: [id] })).Hosts?.[0]?.Instances?.map(({ InstanceId }) => InstanceId) ?? []
  await ec2("TerminateInstances", { InstanceIds: [instance] })
  await machine.see(instance, "absent", 1)
  await ec2("ReleaseHosts", { HostIds: [id] })
  assert.equal((await run("m5.large", {}, other)).length, 1)
  machine.pass(3_600_000)
  await sweepHosts(machine.cloud)
  assert.deepEqual((await ec2("DescribeHosts", {})).Hosts, [])
})

test("auto-placement and affinity say where an instance starts", async (t) => {
  const machine = await openMachine(t)
  const { said, run, ec2 } = machine
  const first = await machine.allocate()
  assert.equal(await said(run("m5.large", onHost())), "IncompatibleHostRequirements", "auto-placement is off")
  const open = await machine.allocate({ AutoPlacement: "on" })
  const [roaming] = await run("m5.large", onHost())
  const [bound] = await run("m5.large", onHost({ HostId: first, Affinity: "host" }))
  const ids = [roaming?.InstanceId ?? "", bound?.InstanceId ?? ""] as const
  assert.deepEqual(await machine.placement(ids[0]), ["host", open, "default"])
  assert.deepEqual(await machine.placement(ids[1]), ["host", first, "host"])
  for (const id of ids) await machine.see(id, "on", 1)
  await ec2("StopInstances", { InstanceIds: [...ids] })
  for (const id of ids) await machine.see(id, "off", 1)
  assert.deepEqual([await machine.free(first), await machine.free(open)], [96, 96])

  // A stopped instance that may go elsewhere does not hold its host; one that is bound to it does.
  const released = await ec2("ReleaseHosts", { HostIds: [first, open] })
  assert.deepEqual([released.Successful, released.Unsuccessful?.[0]?.ResourceId], [[open], first])
  assert.equal(await said(ec2("StartInstances", { InstanceIds: [ids[0]] })), "IncompatibleHostRequirements")
  await ec2("ModifyHosts", { HostIds: [first], AutoPlacement: "on" })
  await ec2("StartInstances", { InstanceIds: [...ids] })
  assert.deepEqual(await machine.placement(ids[0]), ["host", first, "default"])
  assert.equal(await machine.free(first), 92)

  const modify = (InstanceId: string, more: object) => said(ec2("ModifyInstancePlacement", { InstanceId, ...more }))
  await machine.see(ids[1], "on", 2)
  await ec2("StopInstances", { InstanceIds: [ids[1]] })
  await machine.see(ids[1], "off", 2)
  assert.equal(await modify(ids[1], { Tenancy: "default" }), "InvalidRequest")
  const next = await machine.allocate({ InstanceFamily: undefined, InstanceType: "m5.large" })
  const elsewhere = await machine.allocate({ AvailabilityZone: "us-east-1b" })
  assert.equal(await modify(ids[1], { HostId: elsewhere }), "IncompatibleHostRequirements")
  assert.equal(await modify(ids[1], { HostId: next }), "served")
  await ec2("StartInstances", { InstanceIds: [ids[1]] })
  assert.deepEqual(await machine.placement(ids[1]), ["host", next, "host"])
})

test("what does not go together is refused by name", async (t) => {
  const { said, run } = await openMachine(t)
  const refused = (Placement: object, more: object = {}) => said(run("m5.large", { Placement, ...more }))
  assert.equal(await refused({ Tenancy: "dedicated" }), "UnsupportedOperation")
  assert.equal(await refused({ Tenancy: "default", HostId: "h-00000000000000000" }), "InvalidParameterCombination")
  assert.equal(await refused({ Affinity: "host" }), "InvalidParameterCombination")
  assert.equal(await refused({ HostId: "h-1" }), "InvalidHostID.Malformed")
  assert.equal(await refused({ Tenancy: "host", GroupName: "g" }), "InvalidParameterCombination")
  const CapacityReservationSpecification = { CapacityReservationPreference: "capacity-reservations-only" }
  assert.equal(await refused({ Tenancy: "host" }, { CapacityReservationSpecification }), "InvalidParameterCombination")
})

test("launches at once never overfill a host", async (t) => {
  const machine = await openMachine(t)
  const id = await machine.allocate()
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => machine.said(machine.run("m5.12xlarge", onHost({ HostId: id })))),
  )
  const served = outcomes.filter((outcome) => outcome === "served").length
  assert.ok(served > 0 && served <= 2, outcomes.join(" "))
  assert.equal(await machine.free(id), 96 - 48 * served)
})
