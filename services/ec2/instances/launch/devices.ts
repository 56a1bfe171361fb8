/** Block device mappings of a launch. Limits of volume types follow "Amazon EBS volume types". */
import type { EncryptionWish } from "../../ebs-encryption/launch.ts"
import { raise } from "../../errors.ts"
import type { Input } from "../../handler.ts"

type Mapping = NonNullable<Input<"RunInstances">["BlockDeviceMappings"]>[number]

export interface DeviceWish extends EncryptionWish {
  readonly device: string
  /** Leaves out what the image maps to this name. */
  readonly none: boolean
  readonly snapshot?: string
  readonly sizeGiB?: number
  readonly type?: string
  readonly iops?: number
  readonly throughputMiBps?: number
  readonly deleteOnTermination?: boolean
}

interface VolumeType {
  readonly sizeGiB: readonly [number, number]
  readonly iops?: readonly [number, number]
  readonly defaultIops?: number
  readonly iopsRequired?: boolean
  readonly throughput?: readonly [number, number]
  readonly defaultThroughput?: number
}

const volumeTypes: Readonly<Record<string, VolumeType>> = {
  gp2: { sizeGiB: [1, 16_384] },
  gp3: {
    sizeGiB: [1, 65_536],
    iops: [3000, 80_000],
    defaultIops: 3000,
    throughput: [125, 2000],
    defaultThroughput: 125,
  },
  io1: { sizeGiB: [4, 16_384], iops: [100, 64_000], iopsRequired: true },
  io2: { sizeGiB: [4, 65_536], iops: [100, 256_000], iopsRequired: true },
  st1: { sizeGiB: [125, 16_384] },
  sc1: { sizeGiB: [125, 16_384] },
  standard: { sizeGiB: [1, 1024] },
}

const maxDevices = 27

export function readDevices(mappings: readonly Mapping[]): readonly DeviceWish[] {
  const seen = new Set<string>()
  const devices = mappings.map(readDevice).filter((device) => device !== undefined)
  for (const { device } of devices) {
    if (seen.has(device))
      throw raise("InvalidBlockDeviceMapping", {
        detail: `The device '${device}' is used in more than one block-device mapping`,
      })
    seen.add(device)
  }
  if (devices.length > maxDevices)
    throw raise("InvalidBlockDeviceMapping", { detail: `At most ${maxDevices} devices can be attached` })
  return devices
}

function readDevice(mapping: Mapping): DeviceWish | undefined {
  const device = mapping.DeviceName
  if (device === undefined || device === "") throw raise("MissingParameter", { name: "BlockDeviceMapping.DeviceName" })
  if (!/^(\/dev\/)?(sd[a-z]{1,2}|xvd[a-z]{1,2})\d{0,2}$/.test(device))
    throw raise("InvalidBlockDeviceMapping", { detail: `Invalid device name ${device}` })
  if (mapping.NoDevice !== undefined) return { device, none: true }
  // An instance store that the type does not have is left out, as on AWS.
  if (mapping.VirtualName !== undefined) return undefined
  const ebs = mapping.Ebs
  if (ebs === undefined)
    throw raise("InvalidBlockDeviceMapping", {
      detail: `The mapping of ${device} names neither a volume nor a virtual device`,
    })
  refuseWhatIsNotDone(ebs)
  return {
    device,
    none: false,
    ...(ebs.SnapshotId === undefined || ebs.SnapshotId === "" ? {} : { snapshot: ebs.SnapshotId }),
    ...(ebs.VolumeSize === undefined ? {} : { sizeGiB: ebs.VolumeSize }),
    ...(ebs.VolumeType === undefined ? {} : { type: ebs.VolumeType }),
    ...(ebs.Iops === undefined ? {} : { iops: ebs.Iops }),
    ...(ebs.Throughput === undefined ? {} : { throughputMiBps: ebs.Throughput }),
    ...(ebs.DeleteOnTermination === undefined ? {} : { deleteOnTermination: ebs.DeleteOnTermination }),
    ...(ebs.Encrypted === undefined ? {} : { encrypted: ebs.Encrypted }),
    ...(ebs.KmsKeyId === undefined || ebs.KmsKeyId === "" ? {} : { kmsKey: ebs.KmsKeyId }),
  }
}

function refuseWhatIsNotDone(ebs: NonNullable<Mapping["Ebs"]>): void {
  for (const name of [
    "AvailabilityZone",
    "AvailabilityZoneId",
    "EbsCardIndex",
    "OutpostArn",
    "VolumeInitializationRate",
  ] as const)
    if (ebs[name] !== undefined && ebs[name] !== "")
      throw raise("UnsupportedOperation", { operation: `RunInstances with Ebs.${name}` })
}

export interface VolumeSettings {
  readonly sizeGiB: number
  readonly type: string
  readonly iops?: number
  readonly throughputMiBps?: number
}

/** Size, type and limits of one volume, with the type's defaults. Throws AWS's error for what the type does not allow. */
export function volumeSettings(
  wish: DeviceWish,
  defaults: { readonly type: string; readonly sizeGiB?: number },
): VolumeSettings {
  const type = wish.type ?? defaults.type
  const limits = Object.hasOwn(volumeTypes, type) ? volumeTypes[type] : undefined
  if (limits === undefined)
    throw raise("InvalidParameterValue", {
      detail: `Value (${type}) for parameter VolumeType is invalid. Expected: ${Object.keys(volumeTypes).join(", ")}.`,
    })
  const sizeGiB = wish.sizeGiB ?? defaults.sizeGiB
  if (sizeGiB === undefined) throw raise("MissingParameter", { name: `size or snapshotId for ${wish.device}` })
  inRange("Volume size", sizeGiB, limits.sizeGiB, "GiB", type)
  if (limits.iopsRequired === true && wish.iops === undefined)
    throw raise("MissingParameter", { name: `iops for the volume type ${type}` })
  if (wish.iops !== undefined && limits.iops === undefined)
    throw raise("InvalidParameterCombination", { detail: `The parameter iops is not supported for ${type} volumes.` })
  if (wish.throughputMiBps !== undefined && limits.throughput === undefined)
    throw raise("InvalidParameterCombination", {
      detail: `The parameter throughput is not supported for ${type} volumes.`,
    })
  const iops =
    wish.iops ?? limits.defaultIops ?? (type === "gp2" ? Math.min(16_000, Math.max(100, sizeGiB * 3)) : undefined)
  const throughput = wish.throughputMiBps ?? limits.defaultThroughput
  if (iops !== undefined && limits.iops !== undefined) inRange("Volume iops", iops, limits.iops, "", type)
  if (throughput !== undefined && limits.throughput !== undefined)
    inRange("Volume throughput", throughput, limits.throughput, "MiB/s", type)
  return {
    sizeGiB,
    type,
    ...(iops === undefined ? {} : { iops }),
    ...(throughput === undefined ? {} : { throughputMiBps: throughput }),
  }
}

function inRange(what: string, value: number, [min, max]: readonly [number, number], unit: string, type: string): void {
  if (value < min || value > max)
    throw raise("InvalidParameterValue", {
      detail: `${what} of ${value}${unit} is invalid for the type ${type}: it must be between ${min} and ${max}${unit}.`,
    })
}
