/**
 * What a RunInstances asks for, read and checked without a look at the store. What this version does not do is refused by name: nothing is
 * acknowledged and dropped.
 */
import type { SettingsRecord } from "../../account/settings.ts"
import { type CapacityWish, readCapacityWish } from "../../capacity-reservations/wish.ts"
import { type HostWish, readHostWish } from "../../dedicated-hosts/wish.ts"
import { defaultCredits, readCredits } from "../../credits/defaults.ts"
import { type CpuCredits, isBurstable } from "../../credits/families.ts"
import { raise } from "../../errors.ts"
import type { Input } from "../../handler.ts"
import type { PrivateDnsName } from "../../network-interfaces/names.ts"
import { type GroupWish, readGroupWish } from "../../placement-groups/members.ts"
import { tagsFor } from "../../tags/specifications.ts"
import type { Tag } from "#cloud/resources/kind.ts"
import { readMaintenanceOptions } from "../maintenance.ts"
import { launchMetadataOptions } from "../metadata-options.ts"
import { readCpuOptions } from "../cpu-options.ts"
import type { CpuOptions, InstanceAttributes } from "../record.ts"
import { type DeviceWish, readDevices } from "./devices.ts"
import { type InterfaceWish, readInterface } from "./interface.ts"

type Run = Input<"RunInstances">

export interface LaunchWish {
  readonly min: number
  readonly max: number
  readonly image: string
  readonly type: string
  readonly cpu?: CpuOptions
  readonly keyName?: string
  readonly userData?: string
  readonly zone?: string
  readonly group?: GroupWish
  readonly network: InterfaceWish
  readonly devices: readonly DeviceWish[]
  readonly attributes: InstanceAttributes
  readonly clientToken?: string
  readonly hibernation: boolean
  /** What is missing is as the subnet says. */
  readonly privateDnsName: Partial<PrivateDnsName>
  readonly capacity?: CapacityWish
  readonly host?: HostWish
  readonly tags: {
    readonly instance: readonly Tag[]
    readonly volume: readonly Tag[]
    readonly networkInterface: readonly Tag[]
  }
}

/** Type that EC2 takes when none is named. */
const defaultType = "m1.small"
/** Instances that one call may make. */
const maxCount = 1000
export const userDataBytes = 16_384

const notDone = [
  "AdditionalInfo",
  "ElasticGpuSpecification",
  "ElasticInferenceAccelerators",
  "EnclaveOptions",
  "EnablePrimaryIpv6",
  "IamInstanceProfile",
  "InstanceMarketOptions",
  "Ipv6AddressCount",
  "Ipv6Addresses",
  "KernelId",
  "LicenseSpecifications",
  "NetworkPerformanceOptions",
  "Operator",
  "RamdiskId",
  "SecondaryInterfaces",
] as const

/** `settings` are the account's defaults, for what the launch itself does not say. */
export function readLaunch(input: Run, settings: SettingsRecord): LaunchWish {
  refuseWhatIsNotDone(input)
  const [min, max] = readCounts(input)
  if (input.ImageId === undefined || input.ImageId === "") throw raise("MissingParameter", { name: "ImageId" })
  const allowed = ["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"]
  const tags = (type: string) => tagsFor(input.TagSpecifications, type, allowed)
  const type = input.InstanceType ?? defaultType
  const cpuCredits = readCreditSpecification(input, type, settings)
  const cpu = readCpuOptions("RunInstances", input.CpuOptions)
  const capacity = readCapacityWish(input.CapacityReservationSpecification)
  return {
    min,
    max,
    image: input.ImageId,
    type,
    network: readInterface(input, max),
    devices: readDevices(input.BlockDeviceMappings ?? []),
    attributes: {
      disableApiTermination: input.DisableApiTermination ?? false,
      disableApiStop: input.DisableApiStop ?? false,
      shutdownBehavior: readShutdownBehavior(input.InstanceInitiatedShutdownBehavior),
      ebsOptimized: input.EbsOptimized ?? false,
      enaSupport: true,
      sourceDestCheck: true,
      monitoring: input.Monitoring?.Enabled === true ? "enabled" : "disabled",
      metadata: launchMetadataOptions(input.MetadataOptions, settings.metadata),
      ...(cpuCredits === undefined ? {} : { cpuCredits }),
      ...(input.MaintenanceOptions === undefined
        ? {}
        : { maintenance: readMaintenanceOptions(input.MaintenanceOptions) }),
    },
    ...(capacity && { capacity }),
    ...(cpu && { cpu }),
    privateDnsName: readPrivateDnsName(input.PrivateDnsNameOptions),
    hibernation: input.HibernationOptions?.Configured === true,
    tags: { instance: tags("instance"), volume: tags("volume"), networkInterface: tags("network-interface") },
    ...(input.KeyName === undefined ? {} : { keyName: input.KeyName }),
    ...(input.UserData === undefined || input.UserData === "" ? {} : { userData: readUserData(input.UserData) }),
    ...readPlacement(input.Placement),
    ...(input.ClientToken === undefined ? {} : { clientToken: input.ClientToken }),
  }
}

function readPrivateDnsName(options: Run["PrivateDnsNameOptions"] = {}): Partial<PrivateDnsName> {
  const { HostnameType: type, EnableResourceNameDnsARecord: aRecord } = options
  if (options.EnableResourceNameDnsAAAARecord === true)
    throw raise("UnsupportedOperation", {
      operation: "RunInstances with PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
    })
  return { ...(type && { hostnameType: type }), ...(aRecord === undefined ? {} : { aRecord }) }
}

function refuseWhatIsNotDone(input: Run): void {
  for (const name of notDone) {
    const value: unknown = input[name]
    if (value === undefined || (Array.isArray(value) && value.length === 0) || isOff(value)) continue
    throw raise("UnsupportedOperation", { operation: `RunInstances with ${name}` })
  }
}
/** `EnclaveOptions.Enabled=false`: asks for what is so anyway. */
function isOff(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((member) => member === false || member === undefined)
  )
}

function readCreditSpecification(input: Run, type: string, settings: SettingsRecord): CpuCredits | undefined {
  const given = input.CreditSpecification
  if (given === undefined) return defaultCredits(settings, type)
  if (given.CpuCredits === undefined) throw raise("MissingParameter", { name: "CreditSpecification.CpuCredits" })
  const credits = readCredits(given.CpuCredits)
  if (!isBurstable(type))
    throw raise("InvalidParameterCombination", {
      detail: `The parameter CreditSpecification cannot be used with the instance type ${type}: it is not burstable.`,
    })
  return credits
}

function readCounts(input: Run): readonly [number, number] {
  // The wire has seen to it that both are there and whole numbers.
  const min = input.MinCount ?? 1
  const max = input.MaxCount ?? 1
  if (min < 1) throw raise("InvalidParameterValue", { detail: "Minimum instance count must be greater than zero" })
  if (max < 1) throw raise("InvalidParameterValue", { detail: "Maximum instance count must be greater than zero" })
  if (min > max)
    throw raise("InvalidParameterCombination", {
      detail: `Value (${min}) for parameter minCount is invalid. It may not be greater than maxCount (${max}).`,
    })
  if (min > maxCount) throw raise("InstanceLimitExceeded", { wanted: min, limit: maxCount })
  return [min, Math.min(max, maxCount)]
}

function readShutdownBehavior(value: string | undefined): "stop" | "terminate" {
  if (value === undefined || value === "stop" || value === "terminate") return value ?? "stop"
  throw raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter InstanceInitiatedShutdownBehavior is invalid. Expected: 'stop' or 'terminate'.`,
  })
}

/** The caller's base64, checked. Throws for what is not base64 and for more than 16 KB of what it decodes to. */
export function readUserData(text: string): string {
  const compact = text.replace(/\s+/g, "")
  const bytes = Buffer.from(compact, "base64")
  if (
    !/^[A-Za-z0-9+/]*={0,2}$/.test(compact) ||
    (compact.endsWith("=") && compact.length % 4 !== 0) ||
    bytes.toString("base64").replace(/=+$/, "") !== compact.replace(/=+$/, "")
  )
    throw raise("InvalidParameterValue", { detail: "Invalid BASE64 encoding of user data." })
  if (bytes.length > userDataBytes)
    throw raise("InvalidParameterValue", { detail: "User data is limited to 16384 bytes" })
  return bytes.toString("base64")
}

function readPlacement(placement: Run["Placement"]): Pick<LaunchWish, "zone" | "group" | "host"> {
  if (placement === undefined) return {}
  const { AvailabilityZone: zone, AvailabilityZoneId: zoneId, Tenancy: tenancy, ...others } = placement
  const { GroupName: name, GroupId: id, PartitionNumber: partition, HostId, Affinity, ...rest } = others
  const other = Object.entries(rest).find(([, value]) => value !== undefined)
  if (other !== undefined) throw raise("UnsupportedOperation", { operation: `RunInstances with Placement.${other[0]}` })
  const host = readHostWish({ Tenancy: tenancy, HostId, Affinity })
  if (zone !== undefined && zoneId !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameters AvailabilityZone and AvailabilityZoneId may not be specified on the same request",
    })
  const wanted = zone ?? zoneId
  const group = readGroupWish(name, id, partition)
  if (host !== undefined && group !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "A placement group cannot be used with a tenancy of 'host' here.",
    })
  return {
    ...(wanted ? { zone: wanted } : {}),
    ...(group === undefined ? {} : { group }),
    ...(host === undefined ? {} : { host }),
  }
}
