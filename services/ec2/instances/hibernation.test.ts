/** Hibernation as the API shows it, driven by what a host would observe. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { GuestSpec, GuestStatus } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"
import { observe } from "../service.ts"

const name = "fractus-micro-test-x86_64"
const root = (more: object = {}) => ({ DeviceName: "/dev/xvda", Ebs: { Encrypted: true, VolumeSize: 2, ...more } })
const asked = { HibernationOptions: { Configured: true }, BlockDeviceMappings: [root()] }

async function openWithImage(t: Parameters<typeof openRig>[0]): Promise<Rig> {
  const rig = await openRig(t)
  const facts = {
    id: imageIdOf(name),
    name,
    description: "",
    architecture: "x86_64" as const,
    rootDeviceName: "/dev/xvda",
    sizeBytes: 2 ** 30,
    createdMs: 0,
  }
  await registerPublicImages(rig.cloud, [facts])
  return rig
}

const one = { ImageId: imageIdOf(name), InstanceType: "t3.micro" as const, MinCount: 1, MaxCount: 1 }

/** A running instance. */
async function launch(rig: Rig, input: object = asked): Promise<string> {
  const { Instances } = await rig.ec2("RunInstances", { ...one, ...input })
  const id = Instances?.[0]?.InstanceId ?? assert.fail("no instance")
  await see(rig, id, {})
  return id
}

const see = (rig: Rig, id: string, status: Partial<GuestStatus>) =>
  observe(rig.cloud, {
    resource: id,
    generation: 1,
    status: { kind: "guest", phase: "on", starts: 1, resets: 0, ...status },
  })

async function describe(rig: Rig, id: string) {
  const { Reservations } = await rig.ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0] ?? assert.fail("no instance")
}

/** What the host was last told of the guest. */
async function wish(rig: Rig, id: string): Promise<GuestSpec | undefined> {
  const rows = await rig.cloud.store.assignments("local")
  return rows.find((row) => row.resource === id)?.spec as GuestSpec | undefined
}

const configured = async (rig: Rig, value: string) => {
  const filter = { Filters: [{ Name: "hibernation-options.configured", Values: [value] }] }
  const { Reservations = [] } = await rig.ec2("DescribeInstances", filter)
  return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId }) => InstanceId))
}

test("a launch may ask for hibernation where its type can, and its encrypted root has room for its memory", async (t) => {
  const rig = await openWithImage(t)
  const id = await launch(rig)
  const other = await launch(rig, {})
  assert.equal((await describe(rig, id)).HibernationOptions?.Configured, true)
  assert.equal((await describe(rig, other)).HibernationOptions?.Configured, false)
  assert.deepEqual([await configured(rig, "true"), await configured(rig, "false")], [[id], [other]])
  const refusal = (more: object) => rig.fault("RunInstances", { ...one, ...asked, ...more })
  const plain = "UnsupportedHibernationConfiguration: For hibernation, the root device volume must be encrypted."
  assert.equal(await refusal({ BlockDeviceMappings: [] }), plain)
  assert.equal(await refusal({ BlockDeviceMappings: [root({ Encrypted: false })] }), plain)
  const refused = /^UnsupportedHibernationConfiguration: /
  assert.match(await refusal({ InstanceType: "t3.small", BlockDeviceMappings: [root({ VolumeSize: 1 })] }), refused)
  assert.match(await refusal({ BlockDeviceMappings: [root({ VolumeType: "standard" })] }), refused)
  assert.match(await refusal({ InstanceType: "m5.metal" }), refused)
  const large = { InstanceType: "m7i-flex.12xlarge", BlockDeviceMappings: [root({ VolumeSize: 300 })] }
  assert.match(await refusal(large), /150 GiB/)
  assert.equal((await configured(rig, "true")).length, 1, "nothing half done")
})

test("a hibernated instance says so, keeps its private address, and runs again without a trace", async (t) => {
  const rig = await openWithImage(t)
  const id = await launch(rig)
  const ids = { InstanceIds: [id] }
  const before = await describe(rig, id)
  const { StoppingInstances } = await rig.ec2("StopInstances", { ...ids, Hibernate: true })
  assert.equal(StoppingInstances?.[0]?.CurrentState?.Name, "stopping")
  const stopping = await wish(rig, id)
  assert.deepEqual([stopping?.power, stopping?.hibernate], ["off", true])
  await see(rig, id, { phase: "off", cause: "requested", hibernated: true })
  const { State, StateReason, StateTransitionReason, PrivateIpAddress, PublicIpAddress } = await describe(rig, id)
  assert.equal(State?.Name, "stopped")
  const code = "Client.UserInitiatedHibernate"
  assert.deepEqual(StateReason, { Code: code, Message: `${code}: User initiated hibernate` })
  assert.match(StateTransitionReason ?? "", /^User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)$/)
  assert.deepEqual([PrivateIpAddress, PublicIpAddress], [before.PrivateIpAddress, undefined])
  // Told to the host again for another reason, it still is one whose memory is kept.
  await rig.ec2("ModifyInstanceAttribute", { InstanceId: id, UserData: { Value: Buffer.from("#!/bin/sh\n") } })
  assert.equal((await wish(rig, id))?.hibernate, true)
  await rig.ec2("StartInstances", ids)
  const started = await wish(rig, id)
  assert.deepEqual([started?.power, started?.hibernate, started?.starts], ["on", undefined, 2])
  await see(rig, id, { starts: 2 })
  const running = await describe(rig, id)
  assert.deepEqual([running.State?.Name, running.StateReason], ["running", undefined])
  await rig.ec2("StopInstances", ids)
  assert.equal((await wish(rig, id))?.hibernate, undefined, "an ordinary stop is one")
  await see(rig, id, { phase: "off", starts: 2 })
  assert.equal((await describe(rig, id)).StateReason?.Code, "Client.UserInitiatedShutdown")
})

test("memory that was not kept, or cannot be used, is told as the state's reason", async (t) => {
  const rig = await openWithImage(t)
  const id = await launch(rig)
  const ids = { InstanceIds: [id] }
  await rig.ec2("StopInstances", { ...ids, Hibernate: true })
  await see(rig, id, { phase: "off", cause: "requested", memoryLost: "no space left" })
  const stopped = await describe(rig, id)
  assert.equal(stopped.StateReason?.Code, "Client.UserInitiatedShutdown")
  assert.match(stopped.StateReason?.Message ?? "", /no space left/)
  assert.equal((await wish(rig, id))?.hibernate, undefined)
  await rig.ec2("StartInstances", ids)
  await see(rig, id, { starts: 2 })
  await rig.ec2("StopInstances", { ...ids, Hibernate: true })
  await see(rig, id, { phase: "off", starts: 2, hibernated: true })
  await rig.ec2("StartInstances", ids)
  await see(rig, id, { starts: 3, memoryLost: "its image is not what was written" })
  const running = await describe(rig, id)
  assert.equal(running.State?.Name, "running")
  assert.match(running.StateReason?.Message ?? "", /^Server.InternalError: .* not what was written/)
})

test("a start that cannot be carried out leaves the memory kept", async (t) => {
  const rig = await openWithImage(t)
  const id = await launch(rig)
  await rig.ec2("StopInstances", { InstanceIds: [id], Hibernate: true })
  await see(rig, id, { phase: "off", hibernated: true })
  await rig.ec2("StartInstances", { InstanceIds: [id] })
  const trouble = { code: "no-capacity", message: "it does not fit", final: true } as const
  await see(rig, id, { phase: "starting", starts: 2, trouble })
  assert.equal((await describe(rig, id)).State?.Name, "stopped")
  assert.equal((await wish(rig, id))?.hibernate, true)
})

test("what does not fit hibernation is refused", async (t) => {
  const rig = await openWithImage(t)
  const id = await launch(rig)
  const other = await launch(rig, {})
  const stop = (more: object) => rig.fault("StopInstances", { InstanceIds: [id], Hibernate: true, ...more })
  const not = "The instance can't be hibernated because it was not configured at launch for hibernation"
  assert.equal(await stop({ InstanceIds: [id, other] }), `UnsupportedHibernationConfiguration: ${not}: ${other}`)
  assert.match(await stop({ Force: true }), /^InvalidParameterCombination/)
  assert.equal((await describe(rig, id)).State?.Name, "running")
  const type = (name: string) => ({ InstanceId: id, InstanceType: { Value: name } })
  await rig.ec2("StopInstances", { InstanceIds: [id], Hibernate: true })
  await see(rig, id, { phase: "off", hibernated: true })
  assert.match(await rig.fault("ModifyInstanceAttribute", type("t3.small")), /^IncorrectInstanceState: .*hibernated/)
  await rig.ec2("StartInstances", { InstanceIds: [id] })
  assert.match(await stop({}), /^UnsupportedOperation: .*not ready to hibernate yet/)
  await see(rig, id, { starts: 2 })
  await rig.ec2("StopInstances", { InstanceIds: [id] })
  await see(rig, id, { phase: "off", starts: 2 })
  const metal = await rig.fault("ModifyInstanceAttribute", type("m5.metal"))
  assert.match(metal, /^UnsupportedHibernationConfiguration/)
  await rig.ec2("ModifyInstanceAttribute", type("t3.small"))
  await rig.ec2("TerminateInstances", { InstanceIds: [id] })
  assert.equal(await wish(rig, id), undefined)
})
