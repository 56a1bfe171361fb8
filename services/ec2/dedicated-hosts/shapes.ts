/**
 * What a host of a family has. Its largest type that runs on Dedicated Hosts is the whole machine where the family has a bare-metal type; of other
 * families the data of instance types do not tell, nor do they tell sockets of any.
 */
import { raise } from "../errors.ts"
import { findInstanceType, instanceTypeNames, readInstanceTypes } from "../instance-types/data.ts"

export interface HostShape {
  readonly family: string
  readonly cores: number
  readonly vcpus: number
  readonly memoryMiB: number
  readonly architectures: readonly string[]
}

export interface Size {
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
}

export const familyOf = (type: string) => type.slice(0, type.indexOf("."))

/** Types of a family that run on its hosts, smallest first. */
export function sizesOf(family: string): readonly Size[] {
  return typesOf(family)
    .filter(({ DedicatedHostsSupported }) => DedicatedHostsSupported)
    .map(({ InstanceType: name = "", VCpuInfo, MemoryInfo }) => ({
      name,
      vcpus: VCpuInfo?.DefaultVCpus ?? 1,
      memoryMiB: MemoryInfo?.SizeInMiB ?? 0,
    }))
    .toSorted((a, b) => a.vcpus - b.vcpus || (a.name < b.name ? -1 : 1))
}

function typesOf(family: string) {
  return readInstanceTypes(instanceTypeNames().filter((name) => name.startsWith(`${family}.`)))
}

/** Throws InvalidParameterValue for a family that is none or has no hosts, UnsupportedOperation for one of which is not known what they have. */
export function requireShape(family: string): HostShape {
  const largest = sizesOf(family).at(-1)
  if (largest === undefined)
    throw raise("InvalidParameterValue", {
      detail: `The instance family '${family.slice(0, 50)}' is not supported on Dedicated Hosts.`,
    })
  const types = typesOf(family)
  if (!types.some(({ BareMetal }) => BareMetal))
    throw raise("UnsupportedOperation", { operation: `AllocateHosts with the family ${family}` })
  const whole = types.find(({ InstanceType }) => InstanceType === largest.name)
  return {
    family,
    cores: whole?.VCpuInfo?.DefaultCores ?? largest.vcpus,
    vcpus: largest.vcpus,
    memoryMiB: Math.max(...sizesOf(family).map(({ memoryMiB }) => memoryMiB)),
    architectures: whole?.ProcessorInfo?.SupportedArchitectures ?? [],
  }
}

/** The family of a type that runs on Dedicated Hosts. */
export function requireHostedType(type: string): string {
  if (findInstanceType(type)?.DedicatedHostsSupported === true) return familyOf(type)
  throw raise("InvalidParameterValue", {
    detail: `The instance type '${type.slice(0, 50)}' is not supported on Dedicated Hosts.`,
  })
}

/** How many instances of a size fit in what a host has, or has left. */
export function fitting(size: Size, { vcpus, memoryMiB }: { readonly vcpus: number; readonly memoryMiB: number }) {
  return Math.max(0, Math.min(Math.floor(vcpus / size.vcpus), Math.floor(memoryMiB / size.memoryMiB)))
}
