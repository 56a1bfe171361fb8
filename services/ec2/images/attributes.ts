/** DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute, CancelImageLaunchPermission. */
import type { Call } from "#cloud/call.ts"
import { notFound, type Resource } from "#cloud/resources/kind.ts"
import { readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input, Output } from "../handler.ts"
import { instanceKind } from "../instances/record.ts"
import { publicAccessOf } from "./block-public-access.ts"
import { devicesOf, toMapping } from "./devices.ts"
import { requireImages, requireOwnImage } from "./find.ts"
import { readDescription } from "./names.ts"
import { addsAll, changed, permissionsOf, readChange, toPermissions } from "./permissions.ts"
import { bootModeOf, type ImageRecord, imageKind } from "./record.ts"

type Shown = Omit<Output<"DescribeImageAttribute">, "ImageId">

/** Those that no image here has are answered by its id alone, as EC2 does for images without them. */
const shownBy: Readonly<Record<string, (image: Resource<ImageRecord>, call: Call) => Shown | Promise<Shown>>> = {
  blockDeviceMapping: ({ record }) => ({ BlockDeviceMappings: devicesOf(record).map(toMapping) }),
  bootMode: ({ record }) => ({ BootMode: { Value: bootModeOf(record) } }),
  description: ({ record }) => ({ Description: { Value: record.description } }),
  imdsSupport: ({ record }) => (record.imdsSupport ? { ImdsSupport: { Value: record.imdsSupport } } : {}),
  kernel: () => ({}),
  lastLaunchedTime,
  launchPermission: (image) => ({ LaunchPermissions: toPermissions(permissionsOf(image)) }),
  productCodes: () => ({ ProductCodes: [] }),
  ramdisk: () => ({}),
  sriovNetSupport: () => ({}),
  tpmSupport: () => ({}),
  uefiData: () => ({}),
}

/** Of the instances that are there still. */
async function lastLaunchedTime({ id }: Resource<ImageRecord>, call: Call): Promise<Shown> {
  const launched = await call.list(instanceKind, "image-id", id)
  const lastMs = Math.max(...launched.map(({ record }) => record.launchedMs), 0)
  return lastMs === 0 ? {} : { LastLaunchedTime: { Value: new Date(lastMs).toISOString() } }
}

const describeAttribute: Handler<"DescribeImageAttribute"> = async (input, call) => {
  const name: string | undefined = input.Attribute
  if (name === undefined) throw raise("MissingParameter", { name: "Attribute" })
  const show = Object.hasOwn(shownBy, name) ? shownBy[name] : undefined
  if (show === undefined) throw unknown(name)
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:DescribeImageAttribute", image)
  return { ImageId: image.id, ...(await show(image, call)) }
}

const unknown = (name: string) =>
  raise("InvalidParameterValue", {
    detail: `Value (${name.slice(0, 100)}) for parameter attribute is invalid. Unknown attribute.`,
  })

/** One attribute at a time, in one of its spellings. */
const modifyAttribute: Handler<"ModifyImageAttribute"> = async (input, call) => {
  const attribute = attributeOf(input)
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:ModifyImageAttribute", image)
  const { record } = image
  if (attribute === "description") {
    const description = readDescription(input.Description?.Value ?? input.Value ?? "")
    call.draft.update(imageKind, image, { ...record, description })
  } else if (attribute === "imdsSupport") {
    const value = input.ImdsSupport?.Value ?? input.Value
    if (value !== "v2.0")
      throw raise("InvalidParameterValue", {
        detail: `Value (${(value ?? "").slice(0, 100)}) for parameter imdsSupport is invalid. Expected: v2.0.`,
      })
    call.draft.update(imageKind, image, { ...record, imdsSupport: value })
  } else await share(call, image, input)
  await call.commit()
  return {}
}

function attributeOf(input: Input<"ModifyImageAttribute">): "description" | "imdsSupport" | "launchPermission" {
  for (const name of ["OrganizationArns", "OrganizationalUnitArns", "ProductCodes"] as const)
    if ((input[name]?.length ?? 0) > 0)
      throw raise("UnsupportedOperation", { operation: `ModifyImageAttribute with ${name}` })
  const people = (input.UserIds?.length ?? 0) + (input.UserGroups?.length ?? 0) > 0
  const named = [
    ...(input.Description === undefined ? [] : ["description"]),
    ...(input.ImdsSupport === undefined ? [] : ["imdsSupport"]),
    ...(input.LaunchPermission === undefined && !people ? [] : ["launchPermission"]),
    ...(input.Attribute === undefined ? [] : [input.Attribute]),
  ]
  const [name, ...others] = new Set(named)
  if (name === undefined) throw raise("MissingParameter", { name: "Attribute" })
  if (others.length > 0)
    throw raise("InvalidParameterCombination", { detail: "Fields for multiple attribute types specified" })
  if (name === "description" || name === "imdsSupport" || name === "launchPermission") return name
  if (name === "productCodes")
    throw raise("UnsupportedOperation", { operation: "ModifyImageAttribute of productCodes" })
  throw unknown(name)
}

async function share(call: Call, image: Resource<ImageRecord>, input: Input<"ModifyImageAttribute">): Promise<void> {
  const { LaunchPermission: given, OperationType: operation, UserIds: users, UserGroups: groups } = input
  const change = readChange({ given, operation, users, groups })
  const { record } = image
  if (change.add.length > 0 && record.state === "disabled")
    throw raise("InvalidAMIID.Unavailable", { id: image.id, state: record.state })
  // Nobody else has the account's managed key.
  const encrypted = devicesOf(record).find((device) => device.encrypted && device.snapshot !== undefined)
  if (change.add.length > 0 && encrypted)
    throw raise("InvalidParameter", {
      detail: `Snapshot ${encrypted.snapshot} is encrypted with the default key of the account and cannot be shared`,
    })
  if (addsAll(change) && publicAccessOf(await readSettings(call)) === "block-new-sharing")
    throw raise("OperationNotPermitted", {
      detail:
        "You can't publicly share this image because block public access for AMIs is enabled for this account. To publicly share the image, you must call the DisableImageBlockPublicAccess API.",
    })
  call.draft.update(imageKind, image, { ...record, ...changed(permissionsOf(image), change) })
}

const resetAttribute: Handler<"ResetImageAttribute"> = async (input, call) => {
  const name: string | undefined = input.Attribute
  if (name === undefined) throw raise("MissingParameter", { name: "Attribute" })
  if (name !== "launchPermission") throw unknown(name)
  const image = await requireOwnImage(call, input.ImageId)
  call.authorize("ec2:ResetImageAttribute", image)
  call.draft.update(imageKind, image, { ...image.record, users: [], public: false })
  await call.commit()
  return {}
}

/** An account takes itself off the list of another's image. */
const cancelPermission: Handler<"CancelImageLaunchPermission"> = async (input, call) => {
  const id = input.ImageId
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "ImageId" })
  const [image] = await requireImages(call, [id])
  if (image === undefined) throw notFound(imageKind, id)
  call.authorize("ec2:CancelImageLaunchPermission")
  const { users = [] } = image.record
  if (image.account === call.account || !users.includes(call.account))
    throw raise("OperationNotPermitted", { detail: `The image '${id}' is not shared with this account` })
  call.draft.update(imageKind, image, { ...image.record, users: users.filter((user) => user !== call.account) })
  await call.commit()
  return { Return: true }
}

export const attributes = {
  CancelImageLaunchPermission: cancelPermission,
  DescribeImageAttribute: describeAttribute,
  ModifyImageAttribute: modifyAttribute,
  ResetImageAttribute: resetAttribute,
} satisfies Handlers
