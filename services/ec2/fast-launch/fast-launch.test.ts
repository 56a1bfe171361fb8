import assert from "node:assert/strict"
import { test } from "node:test"
import type { RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import type { Status, TemplateAssignment } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { observe } from "#services/ec2/service.ts"
import { openRig, type Rig } from "#tests/ec2/rig.ts"
import type { ImageDevice } from "../images/devices.ts"
import { imageKind } from "../images/record.ts"
import { registerPublicImages } from "../images/register.ts"
import { endingFastLaunches } from "./observe.ts"

const ImageId = imageIdOf("quick-1-x86_64")
const image = {
  id: ImageId,
  name: "quick-1-x86_64",
  description: "",
  architecture: "x86_64",
  rootDeviceName: "/dev/xvda",
  sizeBytes: 2 ** 30,
  createdMs: 1_000,
} as const

const shown = async (rig: Rig) =>
  ((await rig.ec2("DescribeFastLaunchImages", {})).FastLaunchImages ?? []).map(({ State, StateTransitionReason }) => [
    State,
    StateTransitionReason,
  ])
/** The assignment that was made or taken back last. */
const resourceOf = (rig: Rig) => {
  const { assign = [], unassign = [] } = rig.assigned.at(-1) ?? {}
  return [...assign, ...unassign][0]?.resource ?? assert.fail("nothing was assigned")
}
const trouble = (message: string) => ({ trouble: { code: "no-template", message, final: true } as const })

test("fast launch is enabled when the host has seen its template, and says why when there is none", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  await rig.ec2("EnableFastLaunch", { ImageId })
  const [row] = rig.assigned.at(-1)?.assign ?? []
  assert.deepEqual(row?.spec, { kind: "template", image: ImageId, vcpus: 2, memoryMiB: 1024 })
  const resource = resourceOf(rig)
  const seen = (status: Partial<Status>) =>
    observe(rig.cloud, { resource, generation: 1, status: { kind: "template", phase: "pending", ...status } as Status })
  await seen({})
  assert.deepEqual(await shown(rig), [["enabling", "Client.UserInitiated"]])
  await seen(trouble("the image has no agent"))
  assert.deepEqual(await shown(rig), [["enabling-failed", "the image has no agent"]])
  await rig.ec2("EnableFastLaunch", { ImageId })
  assert.equal(resourceOf(rig), resource)
  assert.deepEqual(await shown(rig), [["enabling", "Client.UserInitiated"]])
  await seen({ phase: "ready" })
  assert.deepEqual(await shown(rig), [["enabled", "Client.UserInitiated"]])
  // Its template was lost, and is being made again.
  await seen({})
  assert.deepEqual(await shown(rig), [["enabled", "Client.UserInitiated"]])
  await seen(trouble("the disk is full"))
  assert.deepEqual(await shown(rig), [["enabled-failed", "the disk is full"]])
  await seen({ phase: "ready" })
  assert.deepEqual(await shown(rig), [["enabled", "Client.UserInitiated"]])
})

test("it is disabled when the host has removed the template, or at once with force", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  await rig.ec2("EnableFastLaunch", { ImageId })
  const resource = resourceOf(rig)
  const seen = (status: object) =>
    observe(rig.cloud, { resource, generation: 1, status: { kind: "template", phase: "pending", ...status } })
  assert.equal((await rig.ec2("DisableFastLaunch", { ImageId })).State, "disabling")
  assert.deepEqual(rig.assigned.at(-1)?.unassign, [{ host: "local", resource }])
  assert.deepEqual(await endingFastLaunches(rig.cloud.store), [resource])
  // It was ready just before it heard of that.
  await seen({ phase: "ready" })
  assert.deepEqual(await shown(rig), [["disabling", "Client.UserInitiated"]])
  assert.match(await rig.fault("EnableFastLaunch", { ImageId }), /^IncorrectState: .*disabling/)
  await seen(trouble("the disk cannot be read"))
  assert.deepEqual(await shown(rig), [["disabling-failed", "the disk cannot be read"]])
  // A host that forgot it has the word for what it takes it for.
  await seen({ kind: "guest", phase: "absent", starts: 0, resets: 0 })
  assert.deepEqual(await shown(rig), [])
  assert.match(await rig.fault("DisableFastLaunch", { ImageId }), /^InvalidRequest: /)

  await rig.ec2("EnableFastLaunch", { ImageId })
  assert.notEqual(resourceOf(rig), resource)
  assert.equal((await rig.ec2("DisableFastLaunch", { ImageId, Force: true })).State, "disabling")
  assert.deepEqual(await shown(rig), [])
  assert.deepEqual(await endingFastLaunches(rig.cloud.store), [])
})

test("each account and region has its own, and two calls at once make one", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  await Promise.all([rig.ec2("EnableFastLaunch", { ImageId }), rig.ec2("EnableFastLaunch", { ImageId })])
  assert.equal((await shown(rig)).length, 1)
  for (const other of [{ account: "210987654321" }, { region: "eu-west-1" }]) {
    const { FastLaunchImages } = await rig.ec2("DescribeFastLaunchImages", { ImageIds: [ImageId] }, other)
    assert.deepEqual(FastLaunchImages, [])
    assert.match(await rig.fault("DisableFastLaunch", { ImageId }, other), /^InvalidRequest: /)
  }
})

test("a launch template says for which machine a launch is fast, and refuses what no launch could be", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  const LaunchTemplateName = "small"
  const versions: readonly RequestLaunchTemplateData[] = [
    { InstanceType: "t3.small", BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeSize: 3 } }] },
    { InstanceType: "m5.large", CpuOptions: { CoreCount: 1, ThreadsPerCore: 1 } },
    { UserData: "aGk=" },
    { InstanceRequirements: { VCpuCount: { Min: 1 }, MemoryMiB: { Min: 1 } } },
    { InstanceType: "t4g.small" },
    { IamInstanceProfile: { Name: "web" } },
  ]
  const [first, ...others] = versions
  await rig.ec2("CreateLaunchTemplate", { LaunchTemplateName, LaunchTemplateData: first ?? {} })
  for (const LaunchTemplateData of others)
    await rig.ec2("CreateLaunchTemplateVersion", { LaunchTemplateName, LaunchTemplateData })
  const enable = (Version: string) => ({ ImageId, LaunchTemplate: { LaunchTemplateName, Version } })
  const machine = async (Version: string) => {
    await rig.ec2("EnableFastLaunch", enable(Version))
    return rig.assigned.at(-1)?.assign?.[0]?.spec
  }
  const spec = { kind: "template", image: ImageId }
  assert.deepEqual(await machine("$Default"), { ...spec, vcpus: 2, memoryMiB: 2048, sizeBytes: 3 * 2 ** 30 })
  assert.deepEqual(await machine("2"), { ...spec, vcpus: 1, memoryMiB: 8192 })
  assert.deepEqual(await machine("3"), { ...spec, vcpus: 2, memoryMiB: 1024 })
  const assigned = rig.assigned.length
  assert.match(await rig.fault("EnableFastLaunch", enable("4")), /^UnsupportedOperation: .*InstanceRequirements/)
  assert.match(await rig.fault("EnableFastLaunch", enable("5")), /^InvalidParameterValue: The architecture/)
  assert.match(await rig.fault("EnableFastLaunch", enable("6")), /^UnsupportedOperation: .*IamInstanceProfile/)
  assert.match(await rig.fault("EnableFastLaunch", enable("7")), /^InvalidLaunchTemplateId.VersionNotFound/)
  assert.equal(rig.assigned.length, assigned)
  assert.equal((await rig.ec2("DescribeFastLaunchImages", {})).FastLaunchImages?.[0]?.LaunchTemplate?.Version, "3")
  await rig.ec2("EnableFastLaunch", { ImageId })
  assert.equal((await rig.ec2("DescribeFastLaunchImages", {})).FastLaunchImages?.[0]?.LaunchTemplate, undefined)
})

test("as many clones wait as a call says, and none where it says nothing", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  const pool = () => {
    const spec = rig.assigned.at(-1)?.assign?.[0]?.spec ?? assert.fail("no template was assigned")
    return (spec as unknown as TemplateAssignment).pool
  }
  await rig.ec2("EnableFastLaunch", { ImageId })
  assert.equal(pool(), undefined)
  const asked = await rig.ec2("EnableFastLaunch", { ImageId, SnapshotConfiguration: { TargetResourceCount: 2 } })
  assert.equal(asked.SnapshotConfiguration?.TargetResourceCount, 2)
  assert.equal(pool(), 2)
  await rig.ec2("EnableFastLaunch", { ImageId })
  assert.equal(pool(), undefined)
})

/** An image of ours, made of an instance. */
const ownImage = (rig: Rig, changed: Partial<ImageDevice> = {}, others: readonly ImageDevice[] = []) => {
  const root: ImageDevice = {
    device: "/dev/xvda",
    snapshot: "snap-0123456789abcdef0",
    sizeGiB: 3,
    type: "gp3",
    deleteOnTermination: true,
    encrypted: false,
    ...changed,
  }
  return rig.change(
    (call) =>
      call.draft.create(imageKind, {
        name: `mine-${changed.encrypted}-${others.length}`,
        description: "",
        architecture: "x86_64",
        state: "available",
        createdMs: 1_000,
        rootDeviceName: root.device,
        rootSnapshot: root.snapshot ?? "",
        rootSizeGiB: root.sizeGiB,
        public: false,
        devices: [root, ...others],
        boots: ImageId,
        tags: [],
      }).id,
  )
}

test("of an image that was made of an instance a template has its disk, and goes with it", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  const mine = await ownImage(rig)
  await rig.ec2("EnableFastLaunch", { ImageId: mine })
  const kind = { image: ImageId, snapshot: "snap-0123456789abcdef0", sizeBytes: 3 * 2 ** 30, vcpus: 2, memoryMiB: 1024 }
  assert.deepEqual(rig.assigned.at(-1)?.assign?.[0]?.spec, { kind: "template", ...kind })
  const resource = resourceOf(rig)
  await rig.ec2("DeregisterImage", { ImageId: mine })
  assert.deepEqual(
    rig.assigned.at(-1)?.unassign?.map((each) => each.resource),
    [resource],
  )
  assert.deepEqual((await rig.ec2("DescribeFastLaunchImages", {})).FastLaunchImages, [])
})

test("one that is encrypted or has more volumes is refused", async (t) => {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [image])
  const encrypted = await ownImage(rig, { encrypted: true })
  assert.match(await rig.fault("EnableFastLaunch", { ImageId: encrypted }), /^UnsupportedOperation: .*encrypted image/)
  const data = { device: "/dev/sdb", sizeGiB: 1, type: "gp3", deleteOnTermination: true, encrypted: false }
  const several = await ownImage(rig, {}, [data])
  assert.match(await rig.fault("EnableFastLaunch", { ImageId: several }), /^UnsupportedOperation: .*several volumes/)
})
