/**
 * GetInstanceTypesFromInstanceRequirements: instance types by what they must have. Attributes and their defaults are those of
 * InstanceRequirementsRequest: no bare metal and no burstable types unless they are asked for, all generations, with local storage or without.
 */
import type { InstanceRequirementsRequest, InstanceTypeInfo } from "@aws-sdk/client-ec2"
import { pageOf } from "#cloud/resources/describe.ts"
import { raise } from "../errors.ts"
import { nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { acceleratorsOf } from "./accelerators.ts"
import { instanceTypeNames, readInstanceTypes } from "./data.ts"

const maxTypes = 1000

export const getInstanceTypesFromInstanceRequirements: Handler<"GetInstanceTypesFromInstanceRequirements"> = async (
  input,
) => {
  const { ArchitectureTypes: architectures = [], VirtualizationTypes: virtualizations = [] } = input
  if (architectures.length === 0) throw raise("MissingParameter", { name: "ArchitectureType" })
  if (virtualizations.length === 0) throw raise("MissingParameter", { name: "VirtualizationType" })
  if (input.InstanceRequirements === undefined) throw raise("MissingParameter", { name: "InstanceRequirements" })
  if (input.Context !== undefined)
    throw raise("UnsupportedOperation", { operation: "GetInstanceTypesFromInstanceRequirements with Context" })
  const fits = readRequirements(input.InstanceRequirements)
  const names = readInstanceTypes(instanceTypeNames().filter((name) => fits.name(name)))
    .filter(
      (type) =>
        type.ProcessorInfo?.SupportedArchitectures?.some((each) => architectures.includes(each)) === true &&
        type.SupportedVirtualizationTypes?.some((each) => virtualizations.includes(each)) === true &&
        fits.facts(type),
    )
    .map(({ InstanceType }) => InstanceType as string)
  const page = pageOf(
    names,
    { maxResults: input.MaxResults ?? maxTypes, nextToken: input.NextToken, bounds: [1, maxTypes] },
    "instance-requirements",
    architectures,
    virtualizations,
    input.InstanceRequirements,
  )
  return { InstanceTypes: page.items.map((InstanceType) => ({ InstanceType })), ...nextToken(page) }
}

type Asked = InstanceRequirementsRequest

/** What AWS does not take here, and what there is no data for. */
const notTaken = [
  "MaxSpotPriceAsPercentageOfOptimalOnDemandPrice",
  "OnDemandMaxPricePercentageOverLowestPrice",
  "SpotMaxPricePercentageOverLowestPrice",
] as const

/** What types are looked at by name, and by their facts. Throws for requirements that cannot be. */
export function readRequirements(asked: Asked): {
  readonly name: (name: string) => boolean
  readonly facts: (type: InstanceTypeInfo) => boolean
} {
  refuse(asked)
  const { AllowedInstanceTypes: allowed = [], ExcludedInstanceTypes: excluded = [] } = asked
  const checks = [...limitsOf(asked), ...choicesOf(asked)]
  const isAllowed = allowed.length === 0 ? () => true : oneOf(allowed)
  const isExcluded = oneOf(excluded)
  return {
    name: (name) => isAllowed(name) && !isExcluded(name),
    facts: (type) => checks.every((holds) => holds(type)),
  }
}

/** Names with one wild card, the asterisk. 400 patterns over all types: each is taken apart once, and its parts are looked for in their order. */
function oneOf(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes("*")))
  const parts = [...new Set(patterns)].filter((pattern) => pattern.includes("*")).map((pattern) => pattern.split("*"))
  return (name) => exact.has(name) || parts.some((each) => hasParts(name, each))
}

function hasParts(name: string, parts: readonly string[]): boolean {
  const [first = "", last = ""] = [parts[0], parts.at(-1)]
  if (!name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}

function refuse(asked: Asked): void {
  const { AllowedInstanceTypes: allowed = [], ExcludedInstanceTypes: excluded = [] } = asked
  if (asked.VCpuCount?.Min === undefined)
    throw raise("MissingParameter", { name: "InstanceRequirements.VCpuCount.Min" })
  if (asked.MemoryMiB?.Min === undefined)
    throw raise("MissingParameter", { name: "InstanceRequirements.MemoryMiB.Min" })
  for (const name of notTaken)
    if (asked[name] !== undefined)
      throw raise("InvalidParameterValue", {
        detail: `The parameter ${name} is not supported for GetInstanceTypesFromInstanceRequirements.`,
      })
  if (asked.BaselinePerformanceFactors !== undefined)
    throw raise("UnsupportedOperation", { operation: "InstanceRequirements with BaselinePerformanceFactors" })
  if (allowed.length > 0 && excluded.length > 0)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter AllowedInstanceTypes cannot be used with the parameter ExcludedInstanceTypes",
    })
}

type Holds = (type: InstanceTypeInfo) => boolean
interface Range {
  readonly Min?: number | undefined
  readonly Max?: number | undefined
}

/** Numbers of a type by the attribute that bounds them. What a type has nothing of is 0. */
const numbers = {
  VCpuCount: ({ VCpuInfo }) => VCpuInfo?.DefaultVCpus ?? 0,
  MemoryMiB: ({ MemoryInfo }) => MemoryInfo?.SizeInMiB ?? 0,
  MemoryGiBPerVCpu: ({ MemoryInfo, VCpuInfo }) => (MemoryInfo?.SizeInMiB ?? 0) / 1024 / (VCpuInfo?.DefaultVCpus ?? 1),
  NetworkInterfaceCount: ({ NetworkInfo }) => NetworkInfo?.MaximumNetworkInterfaces ?? 0,
  NetworkBandwidthGbps: ({ NetworkInfo }) =>
    sum(NetworkInfo?.NetworkCards?.map(({ BaselineBandwidthInGbps = 0 }) => BaselineBandwidthInGbps)),
  BaselineEbsBandwidthMbps: ({ EbsInfo }) => EbsInfo?.EbsOptimizedInfo?.BaselineBandwidthInMbps ?? 0,
  TotalLocalStorageGB: ({ InstanceStorageInfo }) => InstanceStorageInfo?.TotalSizeInGB ?? 0,
  AcceleratorCount: (type) => sum(acceleratorsOf(type).map(({ count }) => count)),
  AcceleratorTotalMemoryMiB: (type) => sum(acceleratorsOf(type).map(({ memoryMiB }) => memoryMiB)),
} as const satisfies Partial<Record<keyof Asked, (type: InstanceTypeInfo) => number>>

const sum = (all: readonly number[] = []) => all.reduce((total, each) => total + each, 0)

function limitsOf(asked: Asked): readonly Holds[] {
  return Object.entries(numbers).flatMap(([name, number]): Holds[] => {
    const range: Range | undefined = asked[name as keyof typeof numbers]
    if (range === undefined) return []
    const { Min: min = 0, Max: max = Infinity } = range
    if (min < 0 || max < min)
      throw raise("InvalidParameterValue", {
        detail: `The range of ${name} is invalid: Min (${min}) must be at least 0 and not greater than Max (${max}).`,
      })
    return [(type) => number(type) >= min && number(type) <= max]
  })
}

const processors: Readonly<Record<string, string>> = {
  AMD: "amd",
  AWS: "amazon-web-services",
  Apple: "apple",
  Intel: "intel",
}

function choicesOf(asked: Asked): readonly Holds[] {
  const { LocalStorage = "included", BareMetal = "excluded", BurstablePerformance = "excluded" } = asked
  const of = (choice: string, has: Holds): Holds =>
    choice === "included" ? () => true : (type) => has(type) === (choice === "required")
  /** One of the values that are asked for, where any is. */
  const one = (wanted: readonly string[] = [], values: (type: InstanceTypeInfo) => readonly (string | undefined)[]) =>
    wanted.length === 0 ? [] : [(type: InstanceTypeInfo) => values(type).some((value) => wanted.includes(value ?? ""))]
  const accelerators = (member: "type" | "manufacturer" | "name") => (type: InstanceTypeInfo) =>
    acceleratorsOf(type).map((each) => each[member])
  return [
    of(BareMetal, (type) => type.BareMetal === true),
    of(BurstablePerformance, (type) => type.BurstablePerformanceSupported === true),
    of(LocalStorage, (type) => type.InstanceStorageSupported === true),
    ...one(asked.LocalStorageTypes, (type) => (type.InstanceStorageInfo?.Disks ?? []).map((disk) => disk.Type)),
    ...one(asked.CpuManufacturers, (type) => [processors[type.ProcessorInfo?.Manufacturer ?? ""]]),
    ...one(asked.InstanceGenerations, (type) => [type.CurrentGeneration === true ? "current" : "previous"]),
    ...one(asked.AcceleratorTypes, accelerators("type")),
    ...one(asked.AcceleratorManufacturers, accelerators("manufacturer")),
    ...one(asked.AcceleratorNames, accelerators("name")),
    ...(asked.RequireHibernateSupport === true ? [(type: InstanceTypeInfo) => type.HibernationSupported === true] : []),
    ...(asked.RequireEncryptionInTransit === true
      ? [(type: InstanceTypeInfo) => type.NetworkInfo?.EncryptionInTransitSupported === true]
      : []),
  ]
}
