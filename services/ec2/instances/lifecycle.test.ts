/** The life of an instance, driven by what a host would observe. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { GuestStatus, Spec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"
import { observe } from "../service.ts"
import { endingInstances, sweepTerminated } from "./sweep.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)

async function withImage(rig: Rig): Promise<void> {
  const facts = {
    id: image,
    name,
    description: "",
    architecture: "x86_64" as const,
    rootDeviceName: "/dev/xvda",
    sizeBytes: 2 ** 30,
    createdMs: 0,
  }
  await registerPublicImages(rig.cloud, [facts])
}

async function launch(rig: Rig, input: object = {}): Promise<string> {
  const { Instances } = await rig.ec2("RunInstances", {
    ImageId: image,
    InstanceType: "t3.micro",
    MinCount: 1,
    MaxCount: 1,
    ...input,
  })
  return Instances?.[0]?.InstanceId ?? assert.fail("no instance")
}

async function see(rig: Rig, id: string, status: Partial<GuestStatus>): Promise<void> {
  await observe(rig.cloud, {
    resource: id,
    generation: 1,
    status: { kind: "guest", phase: "on", starts: 1, resets: 0, ...status },
  })
}

async function describe(rig: Rig, id: string) {
  const { Reservations } = await rig.ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0] ?? assert.fail("no instance")
}
/** System, instance and volumes. */
async function statusOf(rig: Rig, id: string) {
  const asked = { InstanceIds: [id], IncludeAllInstances: true }
  const { InstanceStatuses } = await rig.ec2("DescribeInstanceStatus", asked)
  const status = InstanceStatuses?.[0] ?? assert.fail("no status")
  return [status.SystemStatus?.Status, status.InstanceStatus?.Status, status.AttachedEbsStatus?.Status]
}
const stateOf = async (rig: Rig, id: string) => (await describe(rig, id)).State?.Name

/** What the host was last told of a resource; undefined if it should be absent. */
async function wish(rig: Rig, id: string): Promise<Spec | undefined> {
  const rows = await rig.cloud.store.assignments("local")
  return rows.find((row) => row.resource === id)?.spec as Spec | undefined
}
async function guestWish(rig: Rig, id: string) {
  const spec = await wish(rig, id)
  assert.equal(spec?.kind, "guest")
  return spec
}

test("a launch is pending until the host sees the guest run, and its devices are attached then", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  assert.equal(await stateOf(rig, id), "pending")
  assert.equal((await guestWish(rig, id)).power, "on")
  await see(rig, id, { phase: "starting" })
  assert.equal(await stateOf(rig, id), "pending")
  await see(rig, id, { machineVersion: "pc-q35-7.2" })
  const instance = await describe(rig, id)
  assert.equal(instance.State?.Name, "running")
  assert.equal(instance.BlockDeviceMappings?.[0]?.Ebs?.Status, "attached")
  assert.equal(instance.NetworkInterfaces?.[0]?.Status, "in-use")
  const { Volumes } = await rig.ec2("DescribeVolumes", {})
  assert.deepEqual(
    Volumes?.map((volume) => volume.State),
    ["in-use"],
  )
})

test("stop and start: the public address changes, the private one and the volume stay, an old observation changes nothing", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  const before = await describe(rig, id)
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  assert.equal(await stateOf(rig, id), "stopping")
  assert.equal((await guestWish(rig, id)).power, "off")
  await see(rig, id, { phase: "off", cause: "requested" })
  const stopped = await describe(rig, id)
  assert.equal(stopped.State?.Name, "stopped")
  assert.equal(stopped.PublicIpAddress, undefined)
  assert.equal(stopped.StateReason?.Code, "Client.UserInitiatedShutdown")

  await rig.ec2("StartInstances", { InstanceIds: [id] })
  assert.equal((await guestWish(rig, id)).starts, 2)
  await see(rig, id, { phase: "off", cause: "requested", starts: 1 })
  assert.equal(await stateOf(rig, id), "pending")
  await see(rig, id, { starts: 2 })
  const after = await describe(rig, id)
  assert.equal(after.State?.Name, "running")
  assert.ok(after.PublicIpAddress)
  assert.equal(after.PrivateIpAddress, before.PrivateIpAddress)
  assert.deepEqual(after.BlockDeviceMappings?.[0]?.Ebs?.VolumeId, before.BlockDeviceMappings?.[0]?.Ebs?.VolumeId)
  assert.equal(after.StateReason, undefined)
})

test("an instance ends: interface, addresses and volume go, the record stays for an hour", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  const volume = (await describe(rig, id)).BlockDeviceMappings?.[0]?.Ebs?.VolumeId ?? assert.fail("no volume")
  const { TerminatingInstances } = await rig.ec2("TerminateInstances", { InstanceIds: [id] })
  assert.equal(TerminatingInstances?.[0]?.CurrentState?.Name, "shutting-down")
  assert.equal(await wish(rig, id), undefined)
  assert.deepEqual(await endingInstances(rig.cloud), [id])
  await see(rig, id, { phase: "absent" })
  const ended = await describe(rig, id)
  assert.equal(ended.State?.Name, "terminated")
  assert.deepEqual([ended.NetworkInterfaces, ended.BlockDeviceMappings, ended.PrivateIpAddress], [[], [], undefined])
  assert.deepEqual((await rig.ec2("DescribeNetworkInterfaces", {})).NetworkInterfaces, [])
  assert.deepEqual((await rig.ec2("DescribeVolumes", {})).Volumes, [])
  assert.equal(await wish(rig, volume), undefined)
  for (const scope of ["public-address", "guest-number", "port-number"])
    assert.deepEqual(await rig.cloud.store.claims(scope), [])

  await sweepTerminated(rig.cloud)
  assert.equal(await stateOf(rig, id), "terminated")
  const later = { ...rig.cloud, clock: { ...rig.cloud.clock, cloudMs: () => rig.cloud.clock.cloudMs() + 3_600_001 } }
  await sweepTerminated(later)
  assert.match(await rig.fault("DescribeInstances", { InstanceIds: [id] }), /^InvalidInstanceID.NotFound/)
})

test("a volume that is not deleted on termination becomes available", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig, {
    BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { DeleteOnTermination: false } }],
  })
  await see(rig, id, {})
  await rig.ec2("TerminateInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "absent" })
  const { Volumes } = await rig.ec2("DescribeVolumes", {})
  assert.deepEqual(
    Volumes?.map(({ State, Attachments }) => [State, Attachments]),
    [["available", []]],
  )
  assert.equal((await wish(rig, Volumes?.[0]?.VolumeId ?? ""))?.kind, "volume")
})

test("a guest that powers itself off is stopped, or terminated when it was launched so", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const stopping = await launch(rig)
  const ending = await launch(rig, { InstanceInitiatedShutdownBehavior: "terminate" })
  for (const id of [stopping, ending]) {
    await see(rig, id, {})
    await see(rig, id, { phase: "off", cause: "guest-shutdown" })
  }
  const stopped = await describe(rig, stopping)
  assert.deepEqual([stopped.State?.Name, stopped.StateReason?.Code], ["stopped", "Client.InstanceInitiatedShutdown"])
  assert.equal((await guestWish(rig, stopping)).power, "off")
  assert.equal(await stateOf(rig, ending), "shutting-down")
  assert.equal(await wish(rig, ending), undefined)
})

test("a machine that was lost impairs its instance: while it is recovered, and for good with a reason when it stays down", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig, { InstanceInitiatedShutdownBehavior: "terminate" })
  await see(rig, id, { checks: { instance: "passed", system: "passed" } })
  const address = (await describe(rig, id)).PublicIpAddress
  assert.deepEqual(await statusOf(rig, id), ["ok", "ok", "ok"])
  await see(rig, id, { phase: "starting" })
  assert.deepEqual(await statusOf(rig, id), ["impaired", "impaired", "ok"])
  await see(rig, id, { checks: { system: "passed" } })
  assert.deepEqual(await statusOf(rig, id), ["ok", "initializing", "ok"], "the new run is yet to answer")
  const trouble = { code: "crashed", message: "recovered 3 times already", final: true } as const
  await see(rig, id, { phase: "off", cause: "killed", trouble })
  const down = await describe(rig, id)
  assert.deepEqual([down.State?.Name, down.StateReason?.Code], ["running", "Server.InternalError"])
  assert.match(down.StateReason?.Message ?? "", /recovered 3 times already/)
  assert.equal(down.PublicIpAddress, address)
  assert.deepEqual(await statusOf(rig, id), ["impaired", "impaired", "ok"])
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off", cause: "killed", trouble })
  assert.equal(await stateOf(rig, id), "stopped")
  await rig.ec2("StartInstances", { InstanceIds: [id] })
  await see(rig, id, { starts: 2 })
  assert.deepEqual(await statusOf(rig, id), ["initializing", "initializing", "initializing"])
  assert.equal((await describe(rig, id)).StateReason, undefined)
})

test("whether a lost machine is started again follows the maintenance options and the type", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  assert.equal((await guestWish(rig, id)).afterCrash, "restart")
  await rig.ec2("ModifyInstanceMaintenanceOptions", { InstanceId: id, AutoRecovery: "disabled" })
  assert.equal((await guestWish(rig, id)).afterCrash, "stay")
  await rig.ec2("ModifyInstanceMaintenanceOptions", { InstanceId: id, AutoRecovery: "default" })
  assert.equal((await guestWish(rig, id)).afterCrash, "restart")
  const never = await launch(rig, { MaintenanceOptions: { AutoRecovery: "disabled" } })
  assert.equal((await guestWish(rig, never)).afterCrash, "stay")
  const unsupported = await launch(rig, { InstanceType: "m5d.large" })
  assert.equal((await guestWish(rig, unsupported)).afterCrash, "stay")
})

test("the host is told of the CPU credits of a burstable instance, and of another option at once", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  assert.deepEqual((await guestWish(rig, id)).cpuAccount?.surplus, true)
  const InstanceCreditSpecifications = [{ InstanceId: id, CpuCredits: "standard" }]
  await rig.ec2("ModifyInstanceCreditSpecification", { InstanceCreditSpecifications })
  const { cpuAccount, starts } = await guestWish(rig, id)
  assert.deepEqual([cpuAccount?.surplus, cpuAccount?.perHour, starts], [false, 12, 1])
  assert.equal((await guestWish(rig, await launch(rig, { InstanceType: "m5.large" }))).cpuAccount, undefined)
})

test("a machine that ends before it ran, or for a reason nobody knows, never lies running", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const ids = [await launch(rig), await launch(rig, { InstanceInitiatedShutdownBehavior: "terminate" })]
  await see(rig, ids[1] ?? "", {})
  for (const [index, id] of ids.entries()) {
    await see(rig, id, { phase: "off", cause: index === 0 ? "killed" : "unknown" })
    const instance = await describe(rig, id)
    assert.deepEqual([instance.State?.Name, instance.StateReason?.Code], ["stopped", "Server.InternalError"])
  }
})

test("a guest is initializing until it answers, impaired while it does not, and ok again when it does", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  assert.deepEqual(await statusOf(rig, id), ["not-applicable", "not-applicable", "not-applicable"])
  await see(rig, id, { checks: { system: "passed" } })
  assert.deepEqual(await statusOf(rig, id), ["ok", "initializing", "ok"])
  await see(rig, id, { checks: { instance: "passed", system: "passed" } })
  assert.deepEqual(await statusOf(rig, id), ["ok", "ok", "ok"])
  await see(rig, id, { checks: { instance: "failed", system: "passed" } })
  assert.deepEqual(await statusOf(rig, id), ["ok", "impaired", "ok"])
  await see(rig, id, { checks: { system: "passed" } })
  assert.deepEqual(await statusOf(rig, id), ["ok", "impaired", "ok"], "a host that has not asked yet says nothing")
  await see(rig, id, { checks: { instance: "passed", system: "failed" } })
  assert.deepEqual(await statusOf(rig, id), ["impaired", "ok", "impaired"])
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off", cause: "requested" })
  assert.deepEqual(await statusOf(rig, id), ["not-applicable", "not-applicable", "not-applicable"])
})

test("a launch that cannot be carried out ends with its reason", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, { phase: "off", trouble: { code: "no-image", message: "the image is gone", final: true } })
  const instance = await describe(rig, id)
  assert.equal(instance.State?.Name, "shutting-down")
  assert.match(instance.StateReason?.Message ?? "", /the image is gone/)
})

test("a start that cannot be carried out leaves the instance stopped, with its volume", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off" })
  await rig.ec2("StartInstances", { InstanceIds: [id] })
  await see(rig, id, {
    phase: "off",
    starts: 2,
    trouble: { code: "no-image", message: "the image is gone", final: true },
  })
  const instance = await describe(rig, id)
  assert.equal(instance.State?.Name, "stopped")
  assert.match(instance.StateReason?.Message ?? "", /the image is gone/)
  assert.equal((await rig.ec2("DescribeVolumes", {})).Volumes?.length, 1)
  assert.equal((await guestWish(rig, id)).power, "off")
})

test("states refuse what does not fit them", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  const ids = { InstanceIds: [id] }
  assert.match(await rig.fault("StopInstances", ids), /^IncorrectInstanceState/)
  await see(rig, id, {})
  assert.equal((await rig.ec2("StartInstances", ids)).StartingInstances?.[0]?.CurrentState?.Name, "running")
  await rig.ec2("StopInstances", ids)
  assert.match(await rig.fault("StartInstances", ids), /^IncorrectInstanceState/)
  assert.match(await rig.fault("RebootInstances", ids), /^IncorrectInstanceState/)
  assert.match(await rig.fault("StopInstances", { ...ids, Hibernate: true }), /^UnsupportedHibernationConfiguration/)
  await rig.ec2("TerminateInstances", ids)
  await see(rig, id, { phase: "absent" })
  for (const operation of ["StartInstances", "StopInstances", "RebootInstances"] as const)
    assert.match(await rig.fault(operation, ids), /^IncorrectInstanceState/)
  assert.equal((await rig.ec2("TerminateInstances", ids)).TerminatingInstances?.[0]?.CurrentState?.Name, "terminated")
})

test("a start can be stopped before it is carried out", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  const ids = { InstanceIds: [id] }
  assert.match(await rig.fault("StopInstances", ids), /never reached the 'running' state/)
  await see(rig, id, {})
  await rig.ec2("StopInstances", ids)
  await see(rig, id, { phase: "off" })
  await rig.ec2("StartInstances", ids)
  await rig.ec2("StopInstances", ids)
  assert.equal(await stateOf(rig, id), "stopping")
  await see(rig, id, { phase: "off", starts: 1 })
  assert.equal(await stateOf(rig, id), "stopped")
})

test("protection: termination and stop are refused until the attribute is taken back", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig, { DisableApiTermination: true, DisableApiStop: true })
  await see(rig, id, {})
  const ids = { InstanceIds: [id] }
  assert.match(await rig.fault("TerminateInstances", ids), /^OperationNotPermitted: .*disableApiTermination/)
  assert.match(await rig.fault("StopInstances", ids), /^OperationNotPermitted: .*disableApiStop/)
  await rig.ec2("ModifyInstanceAttribute", { InstanceId: id, DisableApiTermination: { Value: false } })
  await rig.ec2("TerminateInstances", ids)
  assert.equal(await stateOf(rig, id), "shutting-down")
})

test("a reboot is counted for the host, and a dry run does nothing", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  assert.match(await rig.fault("RebootInstances", { InstanceIds: [id], DryRun: true }), /^DryRunOperation/)
  assert.equal((await guestWish(rig, id)).resets, 0)
  await rig.ec2("RebootInstances", { InstanceIds: [id] })
  assert.equal((await guestWish(rig, id)).resets, 1)
})

test("attributes: changed one at a time, the type only while stopped, and the host is told", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  const modify = (change: object) => rig.ec2("ModifyInstanceAttribute", { InstanceId: id, ...change })
  assert.match(
    await rig.fault("ModifyInstanceAttribute", { InstanceId: id, InstanceType: { Value: "t3.small" } }),
    /^IncorrectInstanceState/,
  )
  assert.match(
    await rig.fault("ModifyInstanceAttribute", {
      InstanceId: id,
      DisableApiStop: { Value: true },
      SourceDestCheck: { Value: false },
    }),
    /^InvalidParameterCombination/,
  )
  await modify({ SourceDestCheck: { Value: false } })
  assert.equal((await guestWish(rig, id)).ports[0]?.port.checkSource, false)
  const { GroupId } = await rig.ec2("CreateSecurityGroup", { GroupName: "web", Description: "web" })
  await modify({ Groups: [GroupId ?? ""] })
  assert.deepEqual((await guestWish(rig, id)).ports[0]?.port.groups, [GroupId])
  const six = await Promise.all(
    ["a", "b", "c", "d", "e", "f"].map((name) =>
      rig.ec2("CreateSecurityGroup", { GroupName: name, Description: "one of six" }),
    ),
  )
  const many = { InstanceId: id, Groups: six.map((group) => group.GroupId ?? "") }
  assert.match(await rig.fault("ModifyInstanceAttribute", many), /^SecurityGroupsPerInterfaceLimitExceeded/)
  assert.match(await rig.fault("DeleteSecurityGroup", { GroupId }), /^DependencyViolation/)

  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off" })
  await modify({ InstanceType: { Value: "t3.large" } })
  const spec = await guestWish(rig, id)
  assert.deepEqual([spec.vcpus, spec.memoryMiB], [2, 8192])
  const shown = await rig.ec2("DescribeInstanceAttribute", { InstanceId: id, Attribute: "instanceType" })
  assert.deepEqual(shown.InstanceType, { Value: "t3.large" })
})

test("what the metadata service will say of an instance", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  await rig.ec2("CreateKeyPair", { KeyName: "mine", KeyType: "ed25519" })
  const id = await launch(rig, {
    KeyName: "mine",
    UserData: Buffer.from("#!/bin/sh\n").toString("base64"),
    MetadataOptions: { HttpTokens: "required", InstanceMetadataTags: "enabled" },
    TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "Name", Value: "web" }] }],
  })
  const { metadata } = await guestWish(rig, id)
  const instance = await describe(rig, id)
  assert.equal(metadata.tokens, "required")
  assert.equal(metadata.tree["meta-data/instance-id"], id)
  assert.equal(metadata.tree["meta-data/local-ipv4"], instance.PrivateIpAddress)
  assert.equal(metadata.tree["meta-data/public-ipv4"], instance.PublicIpAddress)
  assert.match(metadata.tree["meta-data/public-keys/0/openssh-key"] ?? "", /^ssh-ed25519 /)
  assert.equal(metadata.tree["meta-data/tags/instance/Name"], "web")
  assert.equal(JSON.parse(metadata.tree["dynamic/instance-identity/document"] ?? "{}").instanceId, id)
  assert.equal(Buffer.from(metadata.userData ?? "", "base64").toString(), "#!/bin/sh\n")
})

test("a guest that a full disk stopped is impaired until it goes on; one that panicked is, but not its host", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  const shown = () => statusOf(rig, id)
  const well = ["initializing", "initializing", "initializing"]
  assert.deepEqual(await shown(), well)
  const full = { code: "disk-full", message: "paused: a write to its disk failed", final: false } as const
  await see(rig, id, { trouble: full })
  assert.deepEqual(await shown(), ["impaired", "impaired", "impaired"])
  const [status] = (await rig.ec2("DescribeInstanceStatus", { InstanceIds: [id] })).InstanceStatuses ?? []
  const [detail] = status?.SystemStatus?.Details ?? []
  assert.deepEqual([detail?.Name, detail?.Status], ["reachability", "failed"])
  assert.ok((detail?.ImpairedSince?.getTime() ?? 0) > Date.now() - 60_000)
  const Filters = [{ Name: "system-status.status", Values: ["impaired"] }]
  assert.equal((await rig.ec2("DescribeInstanceStatus", { Filters })).InstanceStatuses?.length, 1)
  await see(rig, id, {})
  assert.deepEqual(await shown(), well)
  await see(rig, id, { trouble: { ...full, code: "crashed" } })
  assert.deepEqual(await shown(), ["initializing", "impaired", "initializing"])
  await see(rig, id, { trouble: { ...full, code: "internal" } })
  assert.deepEqual(await shown(), well)
  // A stop ends what was wrong.
  await see(rig, id, { trouble: full })
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off", cause: "requested" })
  await rig.ec2("StartInstances", { InstanceIds: [id] })
  await see(rig, id, { starts: 2 })
  assert.deepEqual(await shown(), well)
})

test("metadata options and tags change what the host tells a living guest", async (t) => {
  const rig = await openRig(t)
  await withImage(rig)
  const id = await launch(rig)
  await see(rig, id, {})
  assert.equal((await guestWish(rig, id)).metadata.tokens, "optional")
  await rig.ec2("ModifyInstanceMetadataOptions", {
    InstanceId: id,
    HttpTokens: "required",
    InstanceMetadataTags: "enabled",
  })
  assert.equal((await guestWish(rig, id)).metadata.tokens, "required")
  await rig.ec2("CreateTags", { Resources: [id], Tags: [{ Key: "Name", Value: "web" }] })
  assert.equal((await guestWish(rig, id)).metadata.tree["meta-data/tags/instance/Name"], "web")
  await rig.ec2("DeleteTags", { Resources: [id], Tags: [{ Key: "Name" }] })
  assert.equal((await guestWish(rig, id)).metadata.tree["meta-data/tags/instance/Name"], undefined)
  assert.equal((await guestWish(rig, id)).starts, 1)
})
