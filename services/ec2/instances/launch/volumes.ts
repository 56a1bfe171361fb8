/** The volumes of a launch: those of its image, changed and joined by those that it asks for. */
import type { Call } from "#cloud/call.ts"
import type { SettingsRecord } from "../../account/settings.ts"
import type { KmsKey } from "../../ebs-encryption/keys.ts"
import { volumeKey } from "../../ebs-encryption/launch.ts"
import { raise } from "../../errors.ts"
import { devicesOf, type ImageDevice } from "../../images/devices.ts"
import type { ImageRecord } from "../../images/record.ts"
import { requireSnapshots } from "../../snapshots/find.ts"
import { type DeviceWish, type VolumeSettings, volumeSettings } from "./devices.ts"
import type { LaunchWish } from "./wish.ts"

export interface Device extends VolumeSettings {
  readonly device: string
  readonly root: boolean
  readonly deleteOnTermination: boolean
  readonly kmsKey?: KmsKey
  /** Id that answers show. */
  readonly snapshot?: string
  /** It is one of the host's; else the volume is of the image itself, or empty. */
  readonly copied: boolean
}

type Source = Pick<ImageDevice, "snapshot" | "sizeGiB" | "encrypted">

/** The root first. Throws AWS's error for what cannot be. */
export async function allDevices(
  call: Call,
  { devices: wishes }: LaunchWish,
  image: ImageRecord,
  settings: SettingsRecord,
): Promise<readonly Device[]> {
  const own = devicesOf(image)
  const isRoot = (device: string) => device === image.rootDeviceName
  if (wishes.some(({ device, none }) => none && isRoot(device)))
    throw raise("InvalidBlockDeviceMapping", { detail: "The root device cannot be left out" })
  const added = wishes.filter(({ device, none }) => !none && own.every((each) => each.device !== device))
  const sources = await snapshotsNamed(call, added)
  const ofImage = own.flatMap((base): readonly Device[] => {
    const wish = wishes.find(({ device }) => device === base.device)
    if (wish?.none === true) return []
    if (wish?.snapshot !== undefined && wish.snapshot !== base.snapshot)
      throw raise("InvalidBlockDeviceMapping", {
        detail: `snapshotId cannot be modified on the device ${base.device} of the image`,
      })
    const copied = image.devices !== undefined && base.snapshot !== undefined
    const made = { ...volumeOf(call, { ...base, ...wish }, base, settings), root: isRoot(base.device), copied }
    return [{ ...made, deleteOnTermination: wish?.deleteOnTermination ?? base.deleteOnTermination }]
  })
  const others = added.map((wish): Device => {
    const source = wish.snapshot === undefined ? undefined : sources.get(wish.snapshot)
    const made = { ...volumeOf(call, wish, source, settings), root: false, copied: source !== undefined }
    return { ...made, deleteOnTermination: wish.deleteOnTermination ?? true }
  })
  return [...ofImage, ...others]
}

function volumeOf(
  call: Call,
  wish: Partial<DeviceWish> & { readonly device: string },
  source: (Source & Partial<ImageDevice>) | undefined,
  settings: SettingsRecord,
): VolumeSettings & Pick<Device, "device" | "kmsKey" | "snapshot"> {
  const { device } = wish
  const usual = { type: source?.type ?? "gp2", ...(source && { sizeGiB: source.sizeGiB }) }
  const made = volumeSettings({ ...suited(wish, source), device, none: false }, usual)
  if (source?.snapshot !== undefined && made.sizeGiB < source.sizeGiB)
    throw raise("InvalidBlockDeviceMapping", {
      detail: `Volume of size ${made.sizeGiB}GB is smaller than snapshot '${source.snapshot}', expect size>= ${source.sizeGiB}GB`,
    })
  if (source?.encrypted === true && wish.encrypted === false)
    throw raise("InvalidParameterDependency", {
      detail: `The volume of ${device} is of an encrypted snapshot and is encrypted itself.`,
    })
  const encrypted = source?.encrypted === true || wish.encrypted === true
  const kmsKey = volumeKey(call, { ...(encrypted && { encrypted }), ...keyOf(wish) }, settings)
  return {
    device,
    ...made,
    ...(kmsKey && { kmsKey }),
    ...(source?.snapshot === undefined ? {} : { snapshot: source.snapshot }),
  }
}

const keyOf = ({ kmsKey }: Partial<DeviceWish>) => (kmsKey === undefined ? {} : { kmsKey })

/** Figures that the image gives for its type do not go with another. */
function suited(wish: Partial<DeviceWish>, source: Partial<ImageDevice> | undefined): Partial<DeviceWish> {
  if (source?.type === undefined || wish.type === source.type) return wish
  const { iops, throughputMiBps, ...rest } = wish
  return {
    ...rest,
    ...(iops === undefined || iops === source.iops ? {} : { iops }),
    ...(throughputMiBps === undefined || throughputMiBps === source.throughputMiBps ? {} : { throughputMiBps }),
  }
}

/** Snapshots that volumes beside the image's are to be made of, by id. */
async function snapshotsNamed(call: Call, wishes: readonly DeviceWish[]): Promise<ReadonlyMap<string, Source>> {
  const ids = wishes.flatMap(({ snapshot }) => snapshot ?? [])
  const found = await requireSnapshots(call, ids)
  return new Map(
    found.map(({ id, record: { state, sizeGiB, encrypted } }) => {
      if (state !== "completed")
        throw raise("IncorrectState", { detail: `The snapshot '${id}' is ${state}: no volume can be made of it.` })
      return [id, { snapshot: id, sizeGiB, encrypted }]
    }),
  )
}
