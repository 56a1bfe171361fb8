/** DescribeImages, and the table of the family. Public images stand in every region under one id. */
import type { Image } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { filterList, fits } from "#cloud/resources/describe.ts"
import { type Resource, toPut } from "#cloud/resources/kind.ts"
import { readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { allowedImages, allowedImagesOf, isAllowed, mayUse } from "./allowed.ts"
import { toImage } from "./answer.ts"
import { attributes } from "./attributes.ts"
import { blockPublicAccess } from "./block-public-access.ts"
import { copyImage } from "./copy.ts"
import { createImage } from "./create.ts"
import { deregistration } from "./deregister.ts"
import { requireImages, seenBy, seenImages } from "./find.ts"
import { instanceMetadata } from "./instance-metadata.ts"
import { type ImageRecord, imageKind, publicOwner } from "./record.ts"
import { states } from "./states.ts"
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

const describeImages: Handler<"DescribeImages"> = async (input, call) => {
  const ids = input.ImageIds ?? []
  const strangers = input.MaxResults === undefined ? await strangersAmong(call, ids) : []
  const known = ids.filter((id) => strangers.every((stranger) => stranger.id !== id))
  const others = filterList(strangers, input.Filters, filterNames, facetOf)
  const settings = allowedImagesOf(await readSettings(call))
  const shown = (image: Resource<ImageRecord>) => toImage(call, image, isAllowed(call, settings, image))
  if (ids.length > 0 && known.length === 0) return { Images: others.map(shown) }
  const named = input.MaxResults === undefined ? await requireImages(call, known) : []
  const owners = named.map(({ account }) => account)
  const page = await call.describe({
    kind: imageKind,
    ids: known,
    idsCalled: "imageIdsSet",
    filterNames,
    computed: ["image-allowed"],
    ...asked(input),
    ...seenImages(call),
    ...(known.length === 0 ? {} : { accounts: owners }),
    also: [seenBy(call), ...ownerCondition(input, call), ...executableCondition(input, call)],
  })
  const listed = page.items.filter((image) => isListed(image, input, call) && mayUse(call, settings, image))
  const images = [...listed, ...others].map(shown)
  const allowed = (image: Image) => (image.ImageAllowed === undefined ? [] : [String(image.ImageAllowed)])
  return { Images: images.filter((image) => fits(page.remaining, () => allowed(image))), ...nextToken(page) }
}

/** Deprecated images of others are left out unless asked for, disabled ones always: their owner asks for them too. */
function isListed({ account, record }: Resource<ImageRecord>, input: Input<"DescribeImages">, call: Call): boolean {
  const own = account === call.account
  if (record.state === "disabled" && !(own && input.IncludeDisabled === true)) return false
  const past = record.deprecatedMs !== undefined && record.deprecatedMs <= call.nowMs
  return !past || own || input.IncludeDeprecated === true
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
  // "all": public ones. "self" or an account: those shared with it explicitly.
  return users.includes("all")
    ? [{ name: "is-public", values: ["true"] }]
    : [{ name: "shared-with", values: users.map((u) => (u === "self" ? call.account : u)) }]
}

export const handlers = {
  ...allowedImages,
  ...attributes,
  ...blockPublicAccess,
  ...deregistration,
  ...instanceMetadata,
  ...states,
  CopyImage: copyImage,
  CreateImage: createImage,
  // Not pure: an image is deprecated by the clock.
  DescribeImages: describeImages,
} satisfies Handlers
