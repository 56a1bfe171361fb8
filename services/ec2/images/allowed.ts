/**
 * Allowed AMIs: which images of others an account sees and launches, by region. Its own are never held back. With "audit-mode" answers only
 * say what would be. After "Control the discovery and use of AMIs in Amazon EC2 with Allowed AMIs".
 */
import type { ImageCriterion } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { matches } from "#cloud/resources/match.ts"
import { pure } from "#cloud/service.ts"
import { changeSettings, readSettings, type SettingsRecord } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { aliasOf, type ImageRecord } from "./record.ts"

/** Everything that a criterion names must hold; of a list one is enough. */
export interface Criterion {
  readonly providers?: readonly string[]
  readonly names?: readonly string[]
  readonly productCodes?: readonly string[]
  readonly daysSinceCreated?: number
  readonly daysSinceDeprecated?: number
}

export interface AllowedImages {
  readonly state: "disabled" | "audit-mode" | "enabled"
  /** One is enough. Without any, every image is allowed. */
  readonly criteria: readonly Criterion[]
}

const unset: AllowedImages = { state: "disabled", criteria: [] }
const limits = { criteria: 10, providers: 200, names: 50, productCodes: 50, days: 2 ** 31 - 1 }
const dayMs = 24 * 3_600_000
const providers = ["amazon", "aws-marketplace", "aws-backup-vault", "none"]

export const allowedImagesOf = ({ allowedImages = unset }: SettingsRecord): AllowedImages => allowedImages

/** What answers say of an image; undefined: nothing is decided. */
export function isAllowed(
  call: Call,
  { state, criteria }: AllowedImages,
  image: Resource<ImageRecord>,
): boolean | undefined {
  if (state === "disabled") return undefined
  return image.account === call.account || criteria.length === 0 || criteria.some((each) => fulfils(call, each, image))
}

/** Whether the caller may see and launch it. */
export const mayUse = (call: Call, allowed: AllowedImages, image: Resource<ImageRecord>): boolean =>
  allowed.state !== "enabled" || isAllowed(call, allowed, image) === true

function fulfils(call: Call, criterion: Criterion, { account, record }: Resource<ImageRecord>): boolean {
  const { providers: owners, names, productCodes, daysSinceCreated = Infinity, daysSinceDeprecated } = criterion
  const alias = aliasOf(account, record)
  if (owners && !owners.some((owner) => owner === account || owner === alias)) return false
  if (names && !names.some((name) => matches(name, record.name))) return false
  // Nothing here is sold.
  if (productCodes) return false
  const age = (sinceMs: number) => (call.nowMs - sinceMs) / dayMs
  if (age(record.createdMs) > daysSinceCreated) return false
  return daysSinceDeprecated === undefined || age(record.deprecatedMs ?? Infinity) <= daysSinceDeprecated
}

const getSettings: Handler<"GetAllowedImagesSettings"> = async (_input, call) => {
  const { state, criteria } = allowedImagesOf(await readSettings(call))
  return { State: state, ImageCriteria: criteria.map(toCriterion), ManagedBy: "account" }
}

function toCriterion(criterion: Criterion): ImageCriterion {
  const { providers: owners, names, productCodes, daysSinceCreated, daysSinceDeprecated } = criterion
  return {
    ...(owners && { ImageProviders: [...owners] }),
    ...(names && { ImageNames: [...names] }),
    ...(productCodes && { MarketplaceProductCodes: [...productCodes] }),
    ...(daysSinceCreated !== undefined && { CreationDateCondition: { MaximumDaysSinceCreated: daysSinceCreated } }),
    ...(daysSinceDeprecated !== undefined && {
      DeprecationTimeCondition: { MaximumDaysSinceDeprecated: daysSinceDeprecated },
    }),
  }
}

const enable: Handler<"EnableAllowedImagesSettings"> = async (input, call) => {
  const state: string | undefined = input.AllowedImagesSettingsState
  if (state === undefined) throw raise("MissingParameter", { name: "AllowedImagesSettingsState" })
  if (state !== "enabled" && state !== "audit-mode")
    throw raise("InvalidParameterValue", {
      detail: `Value (${state.slice(0, 100)}) for parameter AllowedImagesSettingsState is invalid. Expected: enabled, audit-mode.`,
    })
  call.authorize("ec2:EnableAllowedImagesSettings")
  await change(call, { state })
  return { AllowedImagesSettingsState: state }
}

const disable: Handler<"DisableAllowedImagesSettings"> = async (_input, call) => {
  call.authorize("ec2:DisableAllowedImagesSettings")
  await change(call, { state: "disabled" })
  return { AllowedImagesSettingsState: "disabled" }
}

const replaceCriteria: Handler<"ReplaceImageCriteriaInAllowedImagesSettings"> = async (input, call) => {
  const given = input.ImageCriteria ?? []
  if (given.length > limits.criteria) throw tooMany("ImageCriteria", limits.criteria)
  const criteria = given.map(readCriterion)
  call.authorize("ec2:ReplaceImageCriteriaInAllowedImagesSettings")
  await change(call, { criteria })
  return { ReturnValue: true }
}

async function change(call: Call, changes: Partial<AllowedImages>): Promise<void> {
  await changeSettings(call, (now) => ({ ...now, allowedImages: { ...allowedImagesOf(now), ...changes } }))
  await call.commit()
}

type Given = NonNullable<Input<"ReplaceImageCriteriaInAllowedImagesSettings">["ImageCriteria"]>[number]

function readCriterion(given: Given): Criterion {
  for (const name of ["ImageWatermarks", "ScanResultCondition"] as const)
    if (given[name] !== undefined) throw raise("UnsupportedOperation", { operation: `Allowed AMIs with ${name}` })
  const owners = given.ImageProviders ?? []
  for (const owner of owners)
    if (!providers.includes(owner) && !/^\d{12}$/.test(owner))
      throw invalid("ImageProviders", owner, `an account id, ${providers.join(", ")}`)
  const criterion: Criterion = {
    ...listed("providers", "ImageProviders", owners),
    ...listed("names", "ImageNames", given.ImageNames ?? []),
    ...listed("productCodes", "MarketplaceProductCodes", given.MarketplaceProductCodes ?? []),
    ...days("daysSinceCreated", given.CreationDateCondition?.MaximumDaysSinceCreated),
    ...days("daysSinceDeprecated", given.DeprecationTimeCondition?.MaximumDaysSinceDeprecated),
  }
  if (Object.keys(criterion).length === 0) throw raise("MissingParameter", { name: "ImageCriteria" })
  return criterion
}

function listed(key: "providers" | "names" | "productCodes", name: string, values: readonly string[]) {
  if (values.length > limits[key]) throw tooMany(name, limits[key])
  const bad = values.find((value) => !/^[\x20-\x7e]{1,128}$/.test(value))
  if (bad !== undefined) throw invalid(name, bad, "1 to 128 characters")
  return values.length === 0 ? {} : { [key]: [...values] }
}

function days(key: "daysSinceCreated" | "daysSinceDeprecated", value: number | undefined) {
  if (value === undefined) return {}
  if (value < 0 || value > limits.days) throw invalid(key, String(value), `0 to ${limits.days}`)
  return { [key]: value }
}

const invalid = (name: string, value: string, expected: string) =>
  raise("InvalidParameterValue", {
    detail: `Value (${value.slice(0, 128)}) for parameter ${name} is invalid. Expected: ${expected}.`,
  })
const tooMany = (name: string, limit: number) =>
  raise("InvalidParameterValue", { detail: `At most ${limit} values can be given for ${name}` })

export const allowedImages = {
  DisableAllowedImagesSettings: disable,
  EnableAllowedImagesSettings: enable,
  GetAllowedImagesSettings: pure(getSettings),
  ReplaceImageCriteriaInAllowedImagesSettings: replaceCriteria,
} satisfies Handlers
