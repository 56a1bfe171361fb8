/** DescribeInstanceAttribute and ModifyInstanceAttribute. */
import type { InstanceAttribute } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { securityGroupKind } from "../security-groups/record.ts"
import { volumeKind } from "../volumes/record.ts"
import { findInstanceType } from "../instance-types/data.ts"
import { assignGuest, ownInterfaces, reassignGuest } from "./assignment.ts"
import { readUserData } from "./launch/wish.ts"
import { notInState } from "./lifecycle.ts"
import { instanceKind, type InstanceAttributes, type InstanceRecord } from "./record.ts"

type InstanceResource = Resource<InstanceRecord>
type Modify = Input<"ModifyInstanceAttribute">

type Show = (instance: InstanceResource) => Omit<InstanceAttribute, "InstanceId">

const shown: Readonly<Record<string, Show>> = {
  instanceType: ({ record }) => ({ InstanceType: { Value: record.type } }),
  kernel: () => ({ KernelId: {} }),
  ramdisk: () => ({ RamdiskId: {} }),
  userData: ({ record }) => ({ UserData: record.userData === undefined ? {} : { Value: record.userData } }),
  disableApiTermination: ({ record }) => ({
    DisableApiTermination: { Value: record.attributes.disableApiTermination },
  }),
  disableApiStop: ({ record }) => ({ DisableApiStop: { Value: record.attributes.disableApiStop } }),
  instanceInitiatedShutdownBehavior: ({ record }) => ({
    InstanceInitiatedShutdownBehavior: { Value: record.attributes.shutdownBehavior },
  }),
  rootDeviceName: ({ record }) => ({ RootDeviceName: { Value: record.rootDevice } }),
  blockDeviceMapping: ({ record }) => ({
    BlockDeviceMappings: record.blockDevices.map((device) => ({
      DeviceName: device.device,
      Ebs: {
        AttachTime: new Date(device.attachedMs),
        DeleteOnTermination: device.deleteOnTermination,
        Status: device.status,
        VolumeId: device.volume,
      },
    })),
  }),
  productCodes: () => ({ ProductCodes: [] }),
  sourceDestCheck: ({ record }) => ({ SourceDestCheck: { Value: record.attributes.sourceDestCheck } }),
  groupSet: ({ record }) => ({ Groups: record.groups.map((group) => ({ GroupId: group.id, GroupName: group.name })) }),
  ebsOptimized: ({ record }) => ({ EbsOptimized: { Value: record.attributes.ebsOptimized } }),
  sriovNetSupport: () => ({ SriovNetSupport: {} }),
  enaSupport: ({ record }) => ({ EnaSupport: { Value: record.attributes.enaSupport } }),
  enclaveOptions: () => ({ EnclaveOptions: { Enabled: false } }),
}

export const describeInstanceAttribute: Handler<"DescribeInstanceAttribute"> = async (input, call) => {
  const show = Object.hasOwn(shown, input.Attribute ?? "") ? shown[input.Attribute ?? ""] : undefined
  if (show === undefined) throw badAttribute(input.Attribute)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  return { InstanceId: instance.id, ...show(instance) }
}

/** One attribute a call: the named member, or Attribute with Value as older clients send it. */
export const modifyInstanceAttribute: Handler<"ModifyInstanceAttribute"> = async (input, call) => {
  const change = readChange(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceAttribute", instance)
  if (instance.record.state === "terminated" || instance.record.state === "shutting-down")
    throw notInState(instance.id, "modified")
  await change(call, instance)
  await call.commit()
  return {}
}

type Change = (call: Call, instance: InstanceResource) => Promise<void>

function readChange(input: Modify): Change {
  const changes: Change[] = []
  const set = (name: keyof InstanceAttributes, value: boolean | undefined) => {
    if (value !== undefined) changes.push((call, instance) => setAttributes(call, instance, { [name]: value }))
  }
  const legacy = legacyValue(input)
  set("disableApiTermination", input.DisableApiTermination?.Value ?? legacy.boolean("disableApiTermination"))
  set("disableApiStop", input.DisableApiStop?.Value ?? legacy.boolean("disableApiStop"))
  set("ebsOptimized", input.EbsOptimized?.Value ?? legacy.boolean("ebsOptimized"))
  set("enaSupport", input.EnaSupport?.Value ?? legacy.boolean("enaSupport"))
  const sourceDestCheck = input.SourceDestCheck?.Value ?? legacy.boolean("sourceDestCheck")
  if (sourceDestCheck !== undefined)
    changes.push((call, instance) => setSourceDestCheck(call, instance, sourceDestCheck))
  const behavior = input.InstanceInitiatedShutdownBehavior?.Value ?? legacy.text("instanceInitiatedShutdownBehavior")
  if (behavior !== undefined) {
    if (behavior !== "stop" && behavior !== "terminate")
      throw raise("InvalidParameterValue", {
        detail: `Value (${behavior}) for parameter instanceInitiatedShutdownBehavior is invalid.`,
      })
    changes.push((call, instance) => setAttributes(call, instance, { shutdownBehavior: behavior }))
  }
  const type = input.InstanceType?.Value ?? legacy.text("instanceType")
  if (type !== undefined) changes.push((call, instance) => setType(call, instance, type))
  const userData =
    input.UserData?.Value === undefined ? legacy.text("userData") : Buffer.from(input.UserData.Value).toString("base64")
  if (userData !== undefined) changes.push((call, instance) => setUserData(call, instance, userData))
  if (input.Groups !== undefined && input.Groups.length > 0)
    changes.push((call, instance) => setGroups(call, instance, input.Groups ?? []))
  if (input.BlockDeviceMappings !== undefined && input.BlockDeviceMappings.length > 0)
    changes.push((call, instance) => setDevices(call, instance, input.BlockDeviceMappings ?? []))
  for (const name of ["Kernel", "Ramdisk", "SriovNetSupport"] as const)
    if (input[name] !== undefined)
      throw raise("UnsupportedOperation", { operation: `ModifyInstanceAttribute with ${name}` })
  if (changes.length > 1)
    throw raise("InvalidParameterCombination", { detail: "Fields for multiple attribute types specified" })
  if (changes[0] === undefined)
    throw input.Attribute === undefined
      ? raise("InvalidParameterCombination", { detail: "No attributes specified." })
      : badAttribute(input.Attribute)
  return changes[0]
}

function legacyValue(input: Modify) {
  const text = (name: string) => (input.Attribute === name ? input.Value : undefined)
  return {
    text,
    boolean(name: string): boolean | undefined {
      const value = text(name)
      if (value === undefined) return undefined
      if (value !== "true" && value !== "false")
        throw raise("InvalidParameterValue", {
          detail: `Value (${value}) for parameter value is invalid. Expected: 'true' or 'false'.`,
        })
      return value === "true"
    },
  }
}

function badAttribute(name: string | undefined) {
  return raise("InvalidParameterValue", {
    detail: `Value (${name ?? ""}) for parameter attribute is invalid. Unknown attribute.`,
  })
}

function requireStopped(instance: InstanceResource): void {
  if (instance.record.state !== "stopped") throw notInState(instance.id, "modified: it must be 'stopped'")
}

async function setAttributes(
  call: Call,
  instance: InstanceResource,
  change: Partial<InstanceAttributes>,
): Promise<void> {
  if (change.ebsOptimized !== undefined || change.enaSupport !== undefined) requireStopped(instance)
  call.draft.update(instanceKind, instance, {
    ...instance.record,
    attributes: { ...instance.record.attributes, ...change },
  })
}

async function setSourceDestCheck(call: Call, instance: InstanceResource, value: boolean): Promise<void> {
  const next = call.draft.update(instanceKind, instance, {
    ...instance.record,
    attributes: { ...instance.record.attributes, sourceDestCheck: value },
  })
  const own = ownInterfaces(instance, await call.load(networkInterfaceKind, instance.record.networkInterfaces))
  assignGuest(
    call,
    next,
    own.map((resource) =>
      call.draft.update(networkInterfaceKind, resource, { ...resource.record, sourceDestCheck: value }),
    ),
  )
}

async function setType(call: Call, instance: InstanceResource, name: string): Promise<void> {
  requireStopped(instance)
  const type = findInstanceType(name)
  if (type === undefined) throw raise("InvalidParameterValue", { detail: `Invalid instance type: ${name}` })
  if (!(type.ProcessorInfo?.SupportedArchitectures ?? []).includes(instance.record.architecture))
    throw raise("InvalidParameterValue", {
      detail: `The architecture of the instance type ${name} does not match that of the instance (${instance.record.architecture}).`,
    })
  const next = call.draft.update(instanceKind, instance, {
    ...instance.record,
    type: name,
    vcpus: type.VCpuInfo?.DefaultVCpus ?? instance.record.vcpus,
    memoryMiB: type.MemoryInfo?.SizeInMiB ?? instance.record.memoryMiB,
  })
  await reassignGuest(call, next)
}

async function setUserData(call: Call, instance: InstanceResource, base64: string): Promise<void> {
  requireStopped(instance)
  const { userData: _, ...record } = instance.record
  await reassignGuest(
    call,
    call.draft.update(instanceKind, instance, base64 === "" ? record : { ...record, userData: readUserData(base64) }),
  )
}

async function setGroups(call: Call, instance: InstanceResource, ids: readonly string[]): Promise<void> {
  const groups = await call.requireMany(securityGroupKind, ids)
  for (const group of groups)
    if (group.record.vpc !== instance.record.vpc)
      throw raise("InvalidGroup.NotFound", { name: group.id, where: ` in VPC '${instance.record.vpc}'` })
  const named = groups.map((group) => ({ id: group.id, name: group.record.name }))
  const [primary, ...others] = ownInterfaces(
    instance,
    await call.load(networkInterfaceKind, instance.record.networkInterfaces),
  )
  if (primary === undefined) throw notInState(instance.id, "modified")
  for (const old of primary.record.groups) call.draft.unlink(primary.id, old.id, "blocks")
  for (const group of groups) {
    call.draft.link(primary.id, group.id, "blocks")
    call.draft.expect(group)
  }
  const changed = call.draft.update(networkInterfaceKind, primary, { ...primary.record, groups: named })
  assignGuest(call, call.draft.update(instanceKind, instance, { ...instance.record, groups: named }), [
    changed,
    ...others,
  ])
}

async function setDevices(
  call: Call,
  instance: InstanceResource,
  mappings: NonNullable<Modify["BlockDeviceMappings"]>,
): Promise<void> {
  const devices = [...instance.record.blockDevices]
  for (const mapping of mappings) {
    const index = devices.findIndex((device) => device.device === mapping.DeviceName)
    const device = devices[index]
    if (device === undefined)
      throw raise("InvalidInstanceAttributeValue", {
        detail: `No device is currently mapped at ${mapping.DeviceName ?? ""}`,
      })
    if (mapping.NoDevice !== undefined || mapping.VirtualName !== undefined)
      throw raise("UnsupportedOperation", { operation: "ModifyInstanceAttribute with BlockDeviceMappings.NoDevice" })
    const deleteOnTermination = mapping.Ebs?.DeleteOnTermination ?? device.deleteOnTermination
    devices[index] = { ...device, deleteOnTermination }
    const volume = await call.require(volumeKind, device.volume)
    if (volume.record.attachment !== undefined)
      call.draft.update(volumeKind, volume, {
        ...volume.record,
        attachment: { ...volume.record.attachment, deleteOnTermination },
      })
  }
  call.draft.update(instanceKind, instance, { ...instance.record, blockDevices: devices })
}
