/** Machine images as they are stored. Public ones belong to the account of `publicOwner` and stand in every region. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import { devicesOf, type ImageDevice } from "./devices.ts"

/** Owns what Fractus ships. DescribeImages shows it under the alias "amazon", as clients look for public images there. */
export const publicOwner = "100000000000"
/** Region of what is the same in all regions. */
export const everyRegion = "*"

export interface ImageRecord extends Tagged {
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64" | "arm64"
  readonly platform?: "windows"
  readonly state: "pending" | "available" | "failed" | "disabled"
  /** Why it failed. */
  readonly stateReason?: { readonly code: string; readonly message: string }
  readonly createdMs: number
  readonly rootDeviceName: string
  readonly rootSnapshot: string
  readonly rootSizeGiB: number
  readonly public: boolean
  /** Other accounts that may see and launch it. Written for public ones too since they are looked for by what follows from it. */
  readonly users?: readonly string[]
  /** Of one that was made here: its volumes, the root first. */
  readonly devices?: readonly ImageDevice[]
  /** With `devices`: the image that its guests boot as, and get their kernel of. */
  readonly boots?: string
  readonly sourceInstance?: string
  /** Of a copy. */
  readonly source?: { readonly image: string; readonly region: string }
  readonly imdsSupport?: "v2.0"
  readonly deprecatedMs?: number
  /** It cannot be deregistered; `untilMs`: protection was taken off, and ends then. */
  readonly protection?: { readonly cooldown: boolean; readonly untilMs?: number }
  /** Another image, which is launched in the place of this one (stand-ins.ts). */
  readonly standsFor?: { readonly id: string; readonly name: string }
}

/** Owners that AWS knows by a name of its own. */
export const aliasOf = (account: string, { standsFor }: ImageRecord) =>
  account === publicOwner || standsFor !== undefined ? "amazon" : undefined

/** How its guests boot: 64-bit ARM has no BIOS. */
export const bootModeOf = ({ architecture }: ImageRecord) => (architecture === "arm64" ? "uefi" : "legacy-bios")

export const imageKind = defineKind<ImageRecord>({
  name: "image",
  prefix: "ami",
  schema: 1,
  notFound: ["InvalidAMIID.NotFound", "The image id '[{id}]' does not exist"],
  malformed: ["InvalidAMIID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    ...deviceFacets(record),
    "image-id": id,
    architecture: record.architecture,
    "boot-mode": bootModeOf(record),
    "creation-date": new Date(record.createdMs).toISOString(),
    description: record.description,
    "ena-support": true,
    hypervisor: "xen",
    "image-type": "machine",
    "is-public": record.public,
    name: record.name,
    platform: record.platform,
    "owner-alias": aliasOf(account, record),
    "owner-id": account,
    "root-device-name": record.rootDeviceName,
    "root-device-type": "ebs",
    "source-image-id": record.source?.image,
    "source-image-region": record.source?.region,
    "source-instance-id": record.sourceInstance,
    state: record.state,
    "state-reason-code": record.stateReason?.code,
    "state-reason-message": record.stateReason?.message,
    "virtualization-type": "hvm",
    // No filters of DescribeImages: who sees it, and whom it was shared with.
    "visible-to": [account, ...(record.users ?? []), ...(record.public ? ["all"] : [])],
    "shared-with": record.users,
  }),
})

function deviceFacets(record: ImageRecord) {
  const devices = devicesOf(record)
  return {
    "block-device-mapping.delete-on-termination": devices.map((each) => String(each.deleteOnTermination)),
    "block-device-mapping.device-name": devices.map((each) => each.device),
    "block-device-mapping.snapshot-id": devices.map((each) => each.snapshot),
    "block-device-mapping.volume-size": devices.map((each) => String(each.sizeGiB)),
    "block-device-mapping.volume-type": devices.map((each) => each.type),
    "block-device-mapping.encrypted": devices.map((each) => String(each.encrypted)),
  }
}
