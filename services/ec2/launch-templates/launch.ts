/**
 * RunInstances from a launch template: what the request says overrides what the template says ("Launch instances using a launch template").
 * The AWS documentation does not say how far down: here structures are merged by member, mappings by their device, tags by resource type and key,
 * and other lists are replaced whole. What the two make together is checked, and refused, as if it were one request.
 */
import type {
  BlockDeviceMapping,
  LaunchTemplateSpecification,
  TagSpecification,
  ValidationWarning,
} from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Tag } from "#cloud/resources/kind.ts"
import { Fault } from "#lib/fault.ts"
import type { SettingsRecord } from "../account/settings.ts"
import type { Input } from "../handler.ts"
import { readLaunch } from "../instances/launch/wish.ts"
import { fromData, type TemplateData } from "./data.ts"
import { type LaunchTemplateVersion, requireTemplate, requireVersions, versionNumber } from "./find.ts"

type Run = Input<"RunInstances">

/** The version that a launch asks for, or undefined where it asks for none. The errors of `requireTemplate`, InvalidLaunchTemplateId.VersionNotFound. */
export async function findLaunchTemplate(
  call: Call,
  asked: LaunchTemplateSpecification | undefined,
): Promise<LaunchTemplateVersion | undefined> {
  if (asked === undefined) return undefined
  const template = await requireTemplate(call, asked)
  const [version] = await requireVersions(call, template, [versionNumber(template, asked.Version)])
  return version
}

/** Tags that the system puts on an instance of a template. */
export function templateTags({ record: { template, number } }: LaunchTemplateVersion): readonly Tag[] {
  return [
    { key: "aws:ec2launchtemplate:id", value: template },
    { key: "aws:ec2launchtemplate:version", value: String(number) },
  ]
}

/** Structures whose members stand each for itself. Of the others one member rules out another: they are replaced whole. */
const merged = [
  "CpuOptions",
  "EnclaveOptions",
  "HibernationOptions",
  "MaintenanceOptions",
  "MetadataOptions",
  "Monitoring",
  "NetworkPerformanceOptions",
  "PrivateDnsNameOptions",
] as const

/** The request with what the template says and it does not. */
export function withTemplate(request: Run, data: TemplateData): Run {
  const { LaunchTemplate: _, ...input } = request
  const template = runOf(data)
  const structures = merged.map((name) => [name, { ...template[name], ...given(input[name]) }] as const)
  return {
    MinCount: input.MinCount,
    MaxCount: input.MaxCount,
    ...template,
    ...given(input),
    ...Object.fromEntries(structures.filter(([, members]) => Object.keys(members).length > 0)),
    Placement: placementOf(template.Placement, input.Placement),
    BlockDeviceMappings: mergeMappings(template.BlockDeviceMappings, input.BlockDeviceMappings),
    TagSpecifications: mergeTags(template.TagSpecifications, input.TagSpecifications),
  }
}

/** Members of `Placement` that say the same in two ways: the template's go where the request has either. */
const sameThing = [
  ["AvailabilityZone", "AvailabilityZoneId"],
  ["GroupId", "GroupName"],
  ["HostId", "HostResourceGroupArn"],
] as const

function placementOf(template: Run["Placement"], request: Run["Placement"]): Run["Placement"] {
  const wanted = given(request)
  const gone = sameThing.filter((names) => names.some((name) => wanted[name] !== undefined)).flat()
  const kept = Object.entries(template ?? {}).filter(([name]) => !gone.some((each) => each === name))
  return { ...Object.fromEntries(kept), ...wanted }
}

/** As RunInstances calls it. */
function runOf(data: TemplateData): Partial<Run> {
  const { RamDiskId, ElasticGpuSpecifications, InstanceRequirements, ...same } = fromData(data)
  if (InstanceRequirements !== undefined)
    // Of RequestLaunchTemplateData's documentation, which does not say in which words RunInstances refuses it.
    throw new Fault(
      "UnsupportedOperation",
      "The launch template has InstanceRequirements, which RunInstances does not take: Auto Scaling groups, EC2 Fleet and Spot Fleet select instance types by them. Specify an InstanceType instead.",
    )
  // The two differ in what the types require within structures alone, and nothing here relies on that.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return {
    ...same,
    ...(RamDiskId === undefined ? {} : { RamdiskId: RamDiskId }),
    ...(ElasticGpuSpecifications === undefined ? {} : { ElasticGpuSpecification: ElasticGpuSpecifications }),
  } as Partial<Run>
}

/** Members that say something: an empty text or list asks for nothing, and cannot take a template's value away. */
function given<T extends object>(members: T | undefined): Partial<T> {
  const says = ([, value]: readonly [string, unknown]) =>
    value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)
  // What is left out of the members leaves them partial.
  return Object.fromEntries(Object.entries(members ?? {}).filter(says)) as Partial<T>
}

function mergeMappings(
  template: readonly BlockDeviceMapping[] = [],
  request: readonly BlockDeviceMapping[] = [],
): BlockDeviceMapping[] {
  const devices = new Set(request.map(({ DeviceName }) => DeviceName))
  return [...template.filter(({ DeviceName }) => !devices.has(DeviceName)), ...request]
}

/** Bad tags of the request stay as they are, for who reads them. */
function mergeTags(
  template: readonly TagSpecification[] = [],
  request: readonly TagSpecification[] = [],
): TagSpecification[] {
  const types = new Set(template.map(({ ResourceType }) => ResourceType))
  const both = template.map(({ ResourceType, Tags = [] }) => {
    const own = request.filter((each) => each.ResourceType === ResourceType).flatMap((each) => each.Tags ?? [])
    return { ResourceType, Tags: [...Tags.filter(({ Key }) => !own.some((tag) => tag.Key === Key)), ...own] }
  })
  return [...both, ...request.filter(({ ResourceType }) => !types.has(ResourceType))]
}

const someImage = "ami-00000000000000000"

/** What a launch with these data alone would be refused for, before it looks for anything: EC2 tells it, and makes the template all the same. */
export function warningOf(data: TemplateData, settings: SettingsRecord): { readonly Warning?: ValidationWarning } {
  try {
    readLaunch({ ImageId: someImage, ...withTemplate({ MinCount: 1, MaxCount: 1 }, data) }, settings)
    return {}
  } catch (error) {
    if (error instanceof Fault) return { Warning: { Errors: [{ Code: error.code, Message: error.message }] } }
    throw error
  }
}
