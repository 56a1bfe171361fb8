/** Where a launch wants its primary network interface: from the top-level parameters or from one NetworkInterfaces entry, never both. */
import { raise } from "../../errors.ts"
import type { Input } from "../../handler.ts"
import { isAddress } from "../../vpcs/addresses.ts"

type Run = Input<"RunInstances">

export interface InterfaceWish {
  readonly subnet?: string
  readonly groupIds: readonly string[]
  readonly groupNames: readonly string[]
  readonly address?: string
  readonly associatePublicAddress?: boolean
  readonly deleteOnTermination: boolean
  readonly description: string
}

const notDone = [
  "AssociateCarrierIpAddress",
  "ConnectionTrackingSpecification",
  "EnaQueueCount",
  "EnaSrdSpecification",
  "Ipv4PrefixCount",
  "Ipv4Prefixes",
  "Ipv6AddressCount",
  "Ipv6Addresses",
  "Ipv6PrefixCount",
  "Ipv6Prefixes",
  "NetworkInterfaceId",
  "PrimaryIpv6",
  "SecondaryPrivateIpAddressCount",
] as const

export function readInterface(input: Run, count: number): InterfaceWish {
  const [entry, ...more] = input.NetworkInterfaces ?? []
  if (more.length > 0)
    throw raise("UnsupportedOperation", { operation: "RunInstances with more than one network interface" })
  const wish = entry === undefined ? readTopLevel(input) : readEntry(input, entry)
  if (wish.address !== undefined) {
    if (!isAddress(wish.address))
      throw raise("InvalidParameterValue", {
        detail: `Value (${wish.address}) for parameter privateIpAddress is invalid. Not a valid IPv4 address`,
      })
    if (count > 1)
      throw raise("InvalidParameterCombination", {
        detail: "A private IP address may not be specified when launching more than one instance",
      })
  }
  return wish
}

function readTopLevel(input: Run): InterfaceWish {
  return {
    groupIds: input.SecurityGroupIds ?? [],
    groupNames: input.SecurityGroups ?? [],
    deleteOnTermination: true,
    description: "",
    ...given("subnet", input.SubnetId),
    ...given("address", input.PrivateIpAddress),
  }
}

function readEntry(input: Run, entry: NonNullable<Run["NetworkInterfaces"]>[number]): InterfaceWish {
  const both = (what: string) =>
    raise("InvalidParameterCombination", {
      detail: `Network interfaces and an instance-level ${what} may not be specified on the same request`,
    })
  if (input.SubnetId !== undefined) throw both("subnet ID")
  if ((input.SecurityGroupIds?.length ?? 0) + (input.SecurityGroups?.length ?? 0) > 0) throw both("security groups")
  if (input.PrivateIpAddress !== undefined) throw both("private address")
  for (const name of notDone)
    if (entry[name] !== undefined && !(Array.isArray(entry[name]) && entry[name].length === 0))
      throw raise("UnsupportedOperation", { operation: `RunInstances with NetworkInterfaces.${name}` })
  if ((entry.DeviceIndex ?? 0) !== 0)
    throw raise("InvalidParameterValue", { detail: "The primary network interface must have the device index 0" })
  if (entry.InterfaceType !== undefined && entry.InterfaceType !== "interface")
    throw raise("UnsupportedOperation", {
      operation: `RunInstances with NetworkInterfaces.InterfaceType=${entry.InterfaceType}`,
    })
  if ((entry.NetworkCardIndex ?? 0) !== 0)
    throw raise("InvalidParameterValue", { detail: "The instance type has one network card: index 0" })
  return {
    groupIds: entry.Groups ?? [],
    groupNames: [],
    deleteOnTermination: entry.DeleteOnTermination ?? true,
    description: entry.Description ?? "",
    ...given("subnet", entry.SubnetId),
    ...given("address", primaryAddress(entry)),
    ...given("associatePublicAddress", entry.AssociatePublicIpAddress),
  }
}

function primaryAddress(entry: NonNullable<Run["NetworkInterfaces"]>[number]): string | undefined {
  const list = entry.PrivateIpAddresses ?? []
  if (list.length > 1)
    throw raise("UnsupportedOperation", { operation: "RunInstances with secondary private addresses" })
  if (list.length > 0 && entry.PrivateIpAddress !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "PrivateIpAddress and PrivateIpAddresses may not be specified on the same request",
    })
  return entry.PrivateIpAddress ?? list[0]?.PrivateIpAddress
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined || value === "" ? {} : { [key]: value }) as { readonly [P in K]?: V }
}
