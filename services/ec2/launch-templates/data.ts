/**
 * What a version of a launch template holds: RunInstances' parameters as the request gave them. They are kept as they are, with no default
 * filled in, since an answer shows what was given and nothing else. Whether they can be launched with is seen at the launch; what is wrong
 * with them all the same is told with the answer (`warningOf`), as EC2 does.
 */
import type { LaunchTemplateBlockDeviceMappingRequest, RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import { Fault } from "#lib/fault.ts"
import { raise } from "../errors.ts"
import { readUserData } from "../instances/launch/wish.ts"
import { tagsFor } from "../tags/specifications.ts"

type SpotOptions = NonNullable<NonNullable<RequestLaunchTemplateData["InstanceMarketOptions"]>["SpotOptions"]>

/** The request's members as JSON: its one date is text. */
export interface TemplateData extends Omit<RequestLaunchTemplateData, "InstanceMarketOptions"> {
  readonly InstanceMarketOptions?: Omit<
    NonNullable<RequestLaunchTemplateData["InstanceMarketOptions"]>,
    "SpotOptions"
  > & { readonly SpotOptions?: Omit<SpotOptions, "ValidUntil"> & { readonly ValidUntil?: string } }
}

/** Of the JSON: a launch with all that it may hold, user data included, stays well below. */
const maxBytes = 131_072

/** What tags of a template's data may be for. */
export const launchTagTypes = ["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"]

/** The data, checked. Throws for what is wrong whatever the launch adds to it. */
export function readData(given: RequestLaunchTemplateData | undefined): TemplateData {
  if (given === undefined) throw raise("MissingParameter", { name: "LaunchTemplateData" })
  if (given.InstanceType !== undefined && given.InstanceRequirements !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter InstanceType cannot be used with the parameter InstanceRequirements",
    })
  if (given.UserData !== undefined) checkUserData(given.UserData)
  tagsFor(given.TagSpecifications, "instance", launchTagTypes)
  // Dates become text, and members that are undefined go.
  const text = JSON.stringify(given)
  if (text.length > maxBytes)
    throw raise("InvalidParameterValue", { detail: `Launch template data is limited to ${maxBytes} bytes` })
  return JSON.parse(text) as TemplateData
}

function checkUserData(text: string): void {
  try {
    readUserData(text)
  } catch (error) {
    throw error instanceof Fault ? raise("InvalidUserData.Malformed", { detail: error.message }) : error
  }
}

/** As answers and launches take it. */
export function fromData(data: TemplateData): RequestLaunchTemplateData {
  const { InstanceMarketOptions: market, ...same } = data
  if (market === undefined) return same
  const { SpotOptions: spot, ...others } = market
  if (spot === undefined) return { ...same, InstanceMarketOptions: others }
  const { ValidUntil: until, ...rest } = spot
  const SpotOptions = { ...rest, ...(until === undefined ? {} : { ValidUntil: new Date(until) }) }
  return { ...same, InstanceMarketOptions: { ...others, SpotOptions } }
}

/**
 * A version made of another: what is given takes the place of the same member of the source, whole. Snapshots of the source's mappings are
 * left out, as CreateLaunchTemplateVersion's SourceVersion says.
 */
export function basedOn(source: TemplateData, given: TemplateData): TemplateData {
  const { InstanceType: type, InstanceRequirements: requirements, BlockDeviceMappings: mappings, ...same } = source
  const kinds = given.InstanceType === undefined && given.InstanceRequirements === undefined
  return {
    ...same,
    ...(mappings && { BlockDeviceMappings: mappings.map(withoutSnapshot) }),
    ...(kinds && type !== undefined && { InstanceType: type }),
    ...(kinds && requirements !== undefined && { InstanceRequirements: requirements }),
    ...given,
  }
}

function withoutSnapshot({ Ebs, ...mapping }: LaunchTemplateBlockDeviceMappingRequest) {
  if (Ebs === undefined) return mapping
  const { SnapshotId: _, ...kept } = Ebs
  return { ...mapping, Ebs: kept }
}
