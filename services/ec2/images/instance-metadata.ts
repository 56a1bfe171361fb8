/** DescribeInstanceImageMetadata: instances with what their images are now. An image that is gone, or no more the caller's to see, shows nothing. */
import type { InstanceImageMetadata } from "@aws-sdk/client-ec2"
import { fits } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { readSettings } from "../account/settings.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { instanceKind, type InstanceRecord, stateCodes } from "../instances/record.ts"
import { toTags } from "../tags/answer.ts"
import { allowedImagesOf, isAllowed } from "./allowed.ts"
import { findImages } from "./find.ts"
import { aliasOf, type ImageRecord } from "./record.ts"

const filterNames = [
  "availability-zone",
  "image-allowed",
  "instance-id",
  "instance-state-name",
  "instance-type",
  "launch-time",
  "owner-alias",
  "owner-id",
  "zone-id",
]
/** Of the image, which no index of instances knows. */
const computed = ["image-allowed", "owner-alias", "owner-id"]
/** Filters that are called otherwise among the facets of instances. */
const facets: Readonly<Record<string, string>> = { "zone-id": "availability-zone-id" }

const describeMetadata: Handler<"DescribeInstanceImageMetadata"> = async (input, call) => {
  const filters = asked(input).filters
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    idsCalled: "instancesSet",
    filterNames: [...filterNames, ...Object.values(facets)],
    computed,
    ...asked(input),
    filters: filters?.map((filter) => ({ ...filter, Name: facets[filter.Name ?? ""] ?? filter.Name })),
  })
  const [settings, images] = await Promise.all([
    readSettings(call),
    findImages(
      call,
      page.items.map(({ record }) => record.image),
    ),
  ])
  const allowed = allowedImagesOf(settings)
  const rows = page.items.map((instance) => {
    const image = images.get(instance.record.image)
    return { image, row: toRow(instance, image, image && isAllowed(call, allowed, image)) }
  })
  const values = ({ image, row }: (typeof rows)[number]): Readonly<Record<string, string | undefined>> => ({
    "image-allowed": row.ImageMetadata?.ImageAllowed === undefined ? undefined : String(row.ImageMetadata.ImageAllowed),
    "owner-alias": row.ImageMetadata?.ImageOwnerAlias,
    "owner-id": image?.account,
  })
  const kept = rows.filter((each) => fits(page.remaining, (name) => [values(each)[name]]))
  return { InstanceImageMetadata: kept.map(({ row }) => row), ...nextToken(page) }
}

function toRow(
  { id, account, record }: Resource<InstanceRecord>,
  image: Resource<ImageRecord> | undefined,
  allowed: boolean | undefined,
): InstanceImageMetadata {
  const tags = toTags(record.tags)
  return {
    InstanceId: id,
    InstanceType: record.type as never,
    LaunchTime: new Date(record.launchedMs),
    AvailabilityZone: record.zone,
    ZoneId: record.zoneId,
    State: { Code: stateCodes[record.state], Name: record.state },
    OwnerId: account,
    ...(tags && { Tags: tags }),
    ImageMetadata: { ImageId: record.image, ...(image && described(image, allowed)) },
    Operator: { Managed: false },
  }
}

function described({ account, record }: Resource<ImageRecord>, allowed: boolean | undefined) {
  const alias = aliasOf(account, record)
  return {
    Name: record.name,
    OwnerId: account,
    State: record.state,
    CreationDate: new Date(record.createdMs).toISOString(),
    IsPublic: record.public,
    ...(alias && { ImageOwnerAlias: alias }),
    ...(record.deprecatedMs === undefined ? {} : { DeprecationTime: new Date(record.deprecatedMs).toISOString() }),
    ...(allowed === undefined ? {} : { ImageAllowed: allowed }),
  }
}

/** Not pure: whether an image is allowed goes by the clock. */
export const instanceMetadata = { DescribeInstanceImageMetadata: describeMetadata } satisfies Handlers
