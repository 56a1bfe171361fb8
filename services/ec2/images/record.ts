/** Machine images as they are stored. Public ones belong to the account of `publicOwner` and stand in every region. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

/** Owns what Fractus ships. DescribeImages shows it under the alias "amazon", as clients look for public images there. */
export const publicOwner = "100000000000"
/** Region of what is the same in all regions. */
export const everyRegion = "*"

export interface ImageRecord extends Tagged {
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64" | "arm64"
  readonly platform?: "windows"
  readonly state: "pending" | "available" | "failed"
  readonly createdMs: number
  readonly rootDeviceName: string
  readonly rootSnapshot: string
  readonly rootSizeGiB: number
  readonly public: boolean
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
    "image-id": id,
    architecture: record.architecture,
    "boot-mode": bootModeOf(record),
    "block-device-mapping.delete-on-termination": true,
    "block-device-mapping.device-name": record.rootDeviceName,
    "block-device-mapping.snapshot-id": record.rootSnapshot,
    "block-device-mapping.volume-size": record.rootSizeGiB,
    "block-device-mapping.volume-type": "gp3",
    "block-device-mapping.encrypted": false,
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
    state: record.state,
    "virtualization-type": "hvm",
  }),
})
