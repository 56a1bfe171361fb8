/** The volumes of an image. */
import type { BlockDeviceMapping } from "@aws-sdk/client-ec2"
import type { ImageRecord } from "./record.ts"

export interface ImageDevice {
  readonly device: string
  /** Missing: the volume begins empty. */
  readonly snapshot?: string
  readonly sizeGiB: number
  readonly type: string
  readonly iops?: number
  readonly throughputMiBps?: number
  readonly deleteOnTermination: boolean
  readonly encrypted: boolean
  /** ARN, where the image itself says with which key. */
  readonly kmsKey?: string
}

type Devices = Pick<ImageRecord, "devices" | "rootDeviceName" | "rootSnapshot" | "rootSizeGiB">

/** The root first. What ships with Fractus has a root alone. */
export function devicesOf({ devices, rootDeviceName, rootSnapshot, rootSizeGiB }: Devices): readonly ImageDevice[] {
  const root = { device: rootDeviceName, snapshot: rootSnapshot, sizeGiB: rootSizeGiB, type: "gp3" }
  return devices ?? [{ ...root, deleteOnTermination: true, encrypted: false }]
}

/** Ids of the snapshots that are an account's own resources. */
export const snapshotsOf = ({ devices }: Pick<ImageRecord, "devices">): readonly string[] =>
  (devices ?? []).flatMap(({ snapshot }) => snapshot ?? [])

export function toMapping(device: ImageDevice): BlockDeviceMapping {
  return {
    DeviceName: device.device,
    Ebs: {
      DeleteOnTermination: device.deleteOnTermination,
      Encrypted: device.encrypted,
      ...(device.snapshot === undefined ? {} : { SnapshotId: device.snapshot }),
      VolumeSize: device.sizeGiB,
      VolumeType: device.type as never,
      ...(device.iops === undefined ? {} : { Iops: device.iops }),
      ...(device.throughputMiBps === undefined ? {} : { Throughput: device.throughputMiBps }),
    },
  }
}
