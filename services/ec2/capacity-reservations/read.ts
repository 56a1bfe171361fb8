/** What CreateCapacityReservation and ModifyCapacityReservation ask for, checked without a look at the store. */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import type { Input } from "../handler.ts"
import { findInstanceType } from "../instance-types/data.ts"
import { zonesOf } from "../regions/data.ts"
import type { CapacityReservationRecord } from "./record.ts"

type Create = Input<"CreateCapacityReservation">
type Modify = Input<"ModifyCapacityReservation">

/** Instances of one reservation, and what one call may add or take. */
const maxInstances = 1000

/** "Supported platforms" of Capacity Reservations. Images here are Linux/UNIX and Windows: the others match none of them. */
const platforms: readonly string[] = [
  "Linux/UNIX",
  "Linux with SQL Server Enterprise",
  "Linux with SQL Server Standard",
  "Linux with SQL Server Web",
  "Red Hat Enterprise Linux",
  "RHEL with HA",
  "RHEL with HA and SQL Server Enterprise",
  "RHEL with HA and SQL Server Standard",
  "RHEL with SQL Server Enterprise",
  "RHEL with SQL Server Standard",
  "RHEL with SQL Server Web",
  "SUSE Linux",
  "Ubuntu Pro",
  "Windows",
  "Windows with SQL Server",
  "Windows with SQL Server Enterprise",
  "Windows with SQL Server Standard",
  "Windows with SQL Server Web",
]

/** Future-dated reservations need days of waiting and a commitment; Outposts, groups and dedicated tenancy are not here. */
const notDone = ["CommitmentDuration", "DeliveryPreference", "OutpostArn", "PlacementGroupArn", "StartDate"] as const
const notModified = ["AcceptModificationTerms", "QuoteId", "StartDate"] as const

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

function refuse(operation: string, input: object, names: readonly string[]): void {
  const given = names.find((name) => (input as Readonly<Record<string, unknown>>)[name] !== undefined)
  if (given !== undefined) throw raise("UnsupportedOperation", { operation: `${operation} with ${given}` })
}

function oneOf<T extends string>(name: string, value: string | undefined, allowed: readonly T[], usual: T): T {
  const found = allowed.find((each) => each === (value ?? usual))
  if (found === undefined)
    throw invalid(`Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`)
  return found
}

export function readReservation(input: Create, call: Call): Omit<CapacityReservationRecord, "tags"> {
  refuse("CreateCapacityReservation", input, notDone)
  const { InstanceType: type, InstancePlatform: platform, InstanceCount: total } = input
  if (type === undefined) throw raise("MissingParameter", { name: "InstanceType" })
  if (platform === undefined) throw raise("MissingParameter", { name: "InstancePlatform" })
  if (total === undefined) throw raise("MissingParameter", { name: "InstanceCount" })
  if (oneOf("Tenancy", input.Tenancy, ["default", "dedicated"], "default") === "dedicated")
    throw raise("UnsupportedOperation", { operation: "CreateCapacityReservation with Tenancy=dedicated" })
  if (!platforms.includes(platform))
    throw invalid(`Value (${platform}) for parameter InstancePlatform is invalid. Expected: ${platforms.join(", ")}.`)
  return {
    ...machineOf(type, call),
    platform,
    ...zoneOf(input, call.region),
    total: readCount(total),
    match: oneOf("InstanceMatchCriteria", input.InstanceMatchCriteria, ["open", "targeted"], "open"),
    ebsOptimized: input.EbsOptimized ?? false,
    ephemeralStorage: input.EphemeralStorage ?? false,
    createdMs: call.nowMs,
    ...readEnd(input, call.nowMs),
  }
}

function machineOf(type: string, call: Call) {
  const found = findInstanceType(type)
  if (found === undefined) throw invalid(`The following supplied instance types do not exist: [${type}]`)
  const architectures: readonly string[] = found.ProcessorInfo?.SupportedArchitectures ?? []
  if (!call.cloud.settings.architectures.some((each) => architectures.includes(each)))
    throw raise("InsufficientInstanceCapacity", {
      type,
      zone: call.region,
      why: `no host runs ${architectures.join(", ")}`,
    })
  return { type, vcpus: found.VCpuInfo?.DefaultVCpus ?? 1, memoryMiB: found.MemoryInfo?.SizeInMiB ?? 512 }
}

function zoneOf({ AvailabilityZone: name, AvailabilityZoneId: id }: Create, region: string) {
  if (name !== undefined && id !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters AvailabilityZone and AvailabilityZoneId may not be specified on the same request",
    })
  if (name === undefined && id === undefined)
    throw raise("MissingParameter", { name: "AvailabilityZone or AvailabilityZoneId" })
  const zone = zonesOf(region).find((each) => each.name === name || each.id === id)
  if (zone === undefined) throw invalid(`Invalid availability zone: [${name ?? id}]`)
  return { zone: zone.name, zoneId: zone.id }
}

/** Throws InvalidParameterValue below 1 and above what one reservation may hold. */
export function readCount(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= maxInstances) return count
  throw invalid(`Value (${count}) for parameter InstanceCount is invalid. Expecting 1 to ${maxInstances}.`)
}

/** A limited one has an end, in the time to come; an unlimited one has none. */
function readEnd({ EndDateType: given, EndDate: end }: Create | Modify, nowMs: number): { readonly endMs?: number } {
  const type = oneOf("EndDateType", given, ["limited", "unlimited"], end === undefined ? "unlimited" : "limited")
  if (type === "unlimited") {
    if (end === undefined) return {}
    throw raise("InvalidParameterCombination", {
      detail: "The parameter EndDate cannot be used with EndDateType=unlimited",
    })
  }
  if (end === undefined) throw raise("MissingParameter", { name: "EndDate" })
  if (end.getTime() <= nowMs) throw invalid("The value for parameter EndDate must be in the future.")
  return { endMs: end.getTime() }
}

/** The record as it is to be. Throws where nothing is to change. */
export function readChange(input: Modify, now: CapacityReservationRecord, nowMs: number): CapacityReservationRecord {
  refuse("ModifyCapacityReservation", input, notModified)
  const { InstanceCount: total, InstanceMatchCriteria: match } = input
  const hasEnd = input.EndDate !== undefined || input.EndDateType !== undefined
  if (total === undefined && match === undefined && !hasEnd && input.Accept === undefined)
    throw raise("MissingParameter", { name: "InstanceCount, EndDate, EndDateType or InstanceMatchCriteria" })
  const { endMs, ...rest } = now
  return {
    ...rest,
    ...(hasEnd ? readEnd(input, nowMs) : endMs === undefined ? {} : { endMs }),
    ...(total !== undefined && { total: readCount(total) }),
    ...(match !== undefined && { match: oneOf("InstanceMatchCriteria", match, ["open", "targeted"], now.match) }),
  }
}
