/** What changing each attribute does to the instance, to what it owns, and to the host's wish. All go into the call's draft. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { isBurstable } from "../../credits/families.ts"
import { readSettings } from "../../account/settings.ts"
import { raise } from "../../errors.ts"
import type { Input } from "../../handler.ts"
import { findInstanceType } from "../../instance-types/data.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../../network-interfaces/record.ts"
import { changeInterface, withGroups } from "../../network-interfaces/change.ts"
import { volumeKind } from "../../volumes/record.ts"
import { ownInterfaces, reassignGuest } from "../assignment.ts"
import { readUserData } from "../launch/wish.ts"
import { isHibernated, requireHibernatingType } from "../hibernation.ts"
import { type BlockDevice, instanceKind, type InstanceAttributes, type InstanceRecord } from "../record.ts"
import { requireTypeSupport } from "../type-support.ts"
import { defaultCredits } from "../../credits/defaults.ts"

type InstanceResource = Resource<InstanceRecord>

export function setAttributes(call: Call, instance: InstanceResource, change: Partial<InstanceAttributes>): void {
  const attributes = { ...instance.record.attributes, ...change }
  requireTypeSupport(instance.record.type, attributes)
  call.draft.update(instanceKind, instance, { ...instance.record, attributes })
}

/** The check stands at the interface, where the host makes it so: an instance with more than one has to name which. */
export async function setSourceDestCheck(call: Call, instance: InstanceResource, value: boolean): Promise<void> {
  const only = await onlyInterface(call, instance)
  await changeInterface(call, only, { ...only.record, sourceDestCheck: value })
}

/** The machine of the next start, with all vCPUs of its type. A change into a T family brings its default credit option; the old option is remembered. */
export async function setType(call: Call, instance: InstanceResource, name: string): Promise<void> {
  const { record } = instance
  const type = findInstanceType(name)
  if (type === undefined)
    throw raise("InvalidInstanceAttributeValue", { detail: `Invalid value '${name}' for InstanceType.` })
  if (!(type.ProcessorInfo?.SupportedArchitectures ?? []).includes(record.architecture))
    throw raise("InvalidInstanceAttributeValue", {
      detail: `Modifying the instance type from ${record.type} to ${name} is not allowed. The instance's architecture is ${record.architecture}.`,
    })
  requireTypeSupport(name, record.attributes)
  if (isHibernated(record))
    throw raise("IncorrectInstanceState", {
      detail: `The instance '${instance.id}' is hibernated: its type cannot be modified. Start it and stop it first.`,
    })
  if (record.hibernationConfigured === true) requireHibernatingType(name, record.platform)
  const cpuCredits =
    record.attributes.cpuCredits ?? (isBurstable(name) ? defaultCredits(await readSettings(call), name) : undefined)
  const { cpu: _, ...same } = record
  const next = call.draft.update(instanceKind, instance, {
    ...same,
    type: name,
    vcpus: type.VCpuInfo?.DefaultVCpus ?? record.vcpus,
    memoryMiB: type.MemoryInfo?.SizeInMiB ?? record.memoryMiB,
    attributes: { ...record.attributes, ...(cpuCredits === undefined ? {} : { cpuCredits }) },
  })
  await reassignGuest(call, next)
}

/** Empty text takes the user data away. */
export async function setUserData(call: Call, instance: InstanceResource, base64: string): Promise<void> {
  const { userData: _, ...record } = instance.record
  const changed = base64 === "" ? record : { ...record, userData: readUserData(base64) }
  await reassignGuest(call, call.draft.update(instanceKind, instance, changed))
}

export async function setGroups(call: Call, instance: InstanceResource, ids: readonly string[]): Promise<void> {
  const only = await onlyInterface(call, instance)
  await changeInterface(call, only, await withGroups(call, only, ids))
}

async function onlyInterface(call: Call, instance: InstanceResource): Promise<Resource<NetworkInterfaceRecord>> {
  const [only, ...others] = ownInterfaces(
    instance,
    await call.load(networkInterfaceKind, instance.record.networkInterfaces),
  )
  if (only !== undefined && others.length === 0) return only
  throw raise("InvalidInstanceID", {
    detail: `There are multiple interfaces attached to instance '${instance.id}'. Please specify an interface ID for the operation instead.`,
  })
}

type Mappings = NonNullable<Input<"ModifyInstanceAttribute">["BlockDeviceMappings"]>

/** DeleteOnTermination of attached volumes, in the instance and in the volume. True where a mapping does not say. */
export async function setDevices(call: Call, instance: InstanceResource, mappings: Mappings): Promise<void> {
  const devices = new Map(instance.record.blockDevices.map((device) => [device.device, device]))
  for (const mapping of mappings) {
    const changed = changedDevice(devices, mapping)
    devices.set(changed.device, changed)
  }
  const volumes = await call.load(
    volumeKind,
    [...devices.values()].map((device) => device.volume),
  )
  for (const { volume: id, deleteOnTermination } of devices.values()) {
    const volume = volumes.get(id)
    const attachment = volume?.record.attachment
    if (volume === undefined || attachment === undefined || attachment.deleteOnTermination === deleteOnTermination)
      continue
    call.draft.update(volumeKind, volume, { ...volume.record, attachment: { ...attachment, deleteOnTermination } })
  }
  call.draft.update(instanceKind, instance, { ...instance.record, blockDevices: [...devices.values()] })
}

function changedDevice(devices: ReadonlyMap<string, BlockDevice>, mapping: Mappings[number]): BlockDevice {
  const { DeviceName: name, Ebs: ebs } = mapping
  if (name === undefined || name === "") throw raise("MissingParameter", { name: "BlockDeviceMapping.DeviceName" })
  const device = devices.get(name)
  if (device === undefined)
    throw raise("InvalidInstanceAttributeValue", { detail: `No device is currently mapped at ${name}` })
  if (mapping.NoDevice !== undefined || mapping.VirtualName !== undefined)
    throw raise("UnsupportedOperation", {
      operation: "ModifyInstanceAttribute with BlockDeviceMapping.NoDevice or VirtualName",
    })
  if (ebs === undefined) throw raise("MissingParameter", { name: "BlockDeviceMapping.Ebs" })
  if (ebs.VolumeId !== undefined && ebs.VolumeId !== device.volume)
    throw raise("InvalidInstanceAttributeValue", {
      detail: `The volume '${ebs.VolumeId}' is not mapped at ${name}`,
    })
  return { ...device, deleteOnTermination: ebs.DeleteOnTermination ?? true }
}
