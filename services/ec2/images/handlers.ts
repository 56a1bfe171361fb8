/** DescribeImages. Public images stand in every region under one id. */
import type { Image } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { filterList } from "#cloud/resources/describe.ts"
import { type Resource, toPut } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { platformDetails, toPlatform, usageOperation } from "./platform.ts"
import { aliasOf, bootModeOf, everyRegion, type ImageRecord, imageKind, publicOwner } from "./record.ts"
import { standInFor, standInOwners } from "./stand-ins.ts"

const filterNames = [
  "architecture",
  "block-device-mapping.delete-on-termination",
  "block-device-mapping.device-name",
  "block-device-mapping.encrypted",
  "block-device-mapping.snapshot-id",
  "block-device-mapping.volume-size",
  "block-device-mapping.volume-type",
  "boot-mode",
  "creation-date",
  "description",
  "ena-support",
  "free-tier-eligible",
  "hypervisor",
  "image-allowed",
  "image-id",
  "image-type",
  "image-watermark.source-image-creation-time",
  "image-watermark.source-image-id",
  "image-watermark.source-image-region",
  "image-watermark.watermark-creation-time",
  "image-watermark.watermark-key",
  "instance-type-specification.supported-instance-type",
  "instance-type-specification.unsupported-instance-type",
  "is-public",
  "kernel-id",
  "manifest-location",
  "name",
  "owner-alias",
  "owner-id",
  "platform",
  "product-code",
  "product-code.type",
  "public-ssm-parameter-name",
  "ramdisk-id",
  "root-device-name",
  "root-device-type",
  "scan-result.critical-fix-available-since",
  "scan-result.finding-scan-date",
  "scan-result.high-fix-available-since",
  "scan-result.highest-finding-severity-label",
  "scan-result.informational-fix-available-since",
  "scan-result.low-fix-available-since",
  "scan-result.medium-fix-available-since",
  "source-image-id",
  "source-image-region",
  "source-instance-id",
  "state",
  "state-reason-code",
  "state-reason-message",
  "sriov-net-support",
  "virtualization-type",
]

/** Images this caller sees: its own of the region and the public ones. */
export function visibleImages(call: Call) {
  const others = call.cloud.settings.unknownAmi === "substitute" ? standInOwners : []
  return { accounts: [call.account, publicOwner, ...others], regions: [call.region, everyRegion] }
}

const describeImages: Handler<"DescribeImages"> = async (input, call) => {
  const ids = input.ImageIds ?? []
  const strangers = input.MaxResults === undefined ? await strangersAmong(call, ids) : []
  const known = ids.filter((id) => strangers.every((stranger) => stranger.id !== id))
  if (ids.length > 0 && known.length === 0)
    return { Images: filterList(strangers, input.Filters, filterNames, facetOf).map(toImage) }
  const page = await call.describe({
    kind: imageKind,
    ids: known,
    idsCalled: "imageIdsSet",
    filterNames,
    ...asked(input),
    ...visibleImages(call),
    also: [...ownerCondition(input, call), ...executableCondition(input, call)],
  })
  const others = filterList(strangers, input.Filters, filterNames, facetOf)
  return { Images: [...page.items, ...others].map(toImage), ...nextToken(page) }
}

const facetOf = (image: Resource<ImageRecord>, name: string) => toPut(imageKind, image).facets[name] ?? []

/** With `--unknown-ami substitute`: those of these ids that are nobody's here, with what is launched in their place. */
async function strangersAmong(call: Call, ids: readonly string[]): Promise<readonly Resource<ImageRecord>[]> {
  if (call.cloud.settings.unknownAmi !== "substitute" || ids.length === 0) return []
  const known = await call.store.getMany(ids)
  const found = [...new Set(ids)].filter((id) => !known.has(id)).map((id) => standInFor(call, id))
  return (await Promise.all(found)).filter((image) => image !== undefined)
}

function ownerCondition(input: Input<"DescribeImages">, call: Call) {
  const owners = input.Owners ?? []
  if (owners.length === 0) return []
  const values = owners.flatMap((owner) => {
    if (owner === "self") return call.account
    if (owner === "amazon") return [publicOwner, ...standInOwners]
    // No image here has another owner alias; a well-formed account simply owns nothing.
    if (/^\d{12}$/.test(owner) || owner === "aws-marketplace" || owner === "aws-backup-vault") return owner
    throw raise("InvalidUserID.Malformed", { id: owner })
  })
  return [{ name: "owner-id", values }]
}

function executableCondition(input: Input<"DescribeImages">, call: Call) {
  const users = input.ExecutableUsers ?? []
  if (users.length === 0) return []
  for (const user of users)
    if (user !== "all" && user !== "self" && !/^\d{12}$/.test(user))
      throw raise("InvalidUserID.Malformed", { id: user })
  // "all": public ones. "self" or an account: those shared with it explicitly, of which there are none yet.
  return users.includes("all")
    ? [{ name: "is-public", values: ["true"] }]
    : [{ name: "shared-with", values: users.map((u) => (u === "self" ? call.account : u)) }]
}

function toImage({ id, account, record }: Resource<ImageRecord>): Image {
  return {
    ImageId: id,
    Name: record.name,
    Description: record.description,
    Architecture: record.architecture,
    BlockDeviceMappings: [
      {
        DeviceName: record.rootDeviceName,
        Ebs: {
          DeleteOnTermination: true,
          Encrypted: false,
          SnapshotId: record.rootSnapshot,
          VolumeSize: record.rootSizeGiB,
          VolumeType: "gp3",
        },
      },
    ],
    BootMode: bootModeOf(record),
    CreationDate: new Date(record.createdMs).toISOString(),
    EnaSupport: true,
    Hypervisor: "xen",
    ImageLocation: `${aliasOf(account, record) ?? account}/${record.name}`,
    ImageType: "machine",
    OwnerId: account,
    PlatformDetails: platformDetails(record.platform),
    Public: record.public,
    RootDeviceName: record.rootDeviceName,
    RootDeviceType: "ebs",
    State: record.state,
    Tags: toTags(record.tags),
    UsageOperation: usageOperation(record.platform),
    VirtualizationType: "hvm",
    ...toPlatform(record.platform),
    ...(aliasOf(account, record) === undefined ? {} : { ImageOwnerAlias: "amazon" }),
  }
}

export const handlers = { DescribeImages: pure(describeImages) } satisfies Handlers
