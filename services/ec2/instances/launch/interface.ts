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
  /** Further addresses: named, or how many are to be drawn. */
  readonly secondary: readonly string[]
  readonly secondaryCount: number
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
] as const

export function readInterface(input: Run, count: number): InterfaceWish {
  const [entry, ...more] = input.NetworkInterfaces ?? []
  if (more.length > 0)
    throw raise("UnsupportedOperation", { operation: "RunInstances with more than one network interface" })
  const wish = entry === undefined ? readTopLevel(input) : readEntry(input, entry)
  const named = wish.address === undefined ? wish.secondary : [wish.address, ...wish.secondary]
  const bad = named.find((address) => !isAddress(address))
  if (bad !== undefined)
    throw raise("InvalidParameterValue", {
      detail: `Value (${bad}) for parameter privateIpAddress is invalid. Not a valid IPv4 address`,
    })
  if (new Set(named).size < named.length)
    throw raise("InvalidParameterValue", { detail: "A private IP address is given more than once" })
  if (named.length > 0 && count > 1)
    throw raise("InvalidParameterCombination", {
      detail: "A private IP address may not be specified when launching more than one instance",
    })
  return wish
}

function readTopLevel(input: Run): InterfaceWish {
  return {
    groupIds: input.SecurityGroupIds ?? [],
    groupNames: input.SecurityGroups ?? [],
    deleteOnTermination: true,
    description: "",
    secondary: [],
    secondaryCount: 0,
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
    ...readAddresses(entry),
    ...given("associatePublicAddress", entry.AssociatePublicIpAddress),
  }
}

/** One of the list is the primary address: the one that says so, else the first that does not deny it. */
function readAddresses(
  entry: NonNullable<Run["NetworkInterfaces"]>[number],
): Pick<InterfaceWish, "address" | "secondary" | "secondaryCount"> {
  const { PrivateIpAddress: single, PrivateIpAddresses: list = [], SecondaryPrivateIpAddressCount: count } = entry
  const primaries = list.filter(({ Primary }) => Primary === true)
  if (primaries.length > 1)
    throw raise("InvalidParameterCombination", { detail: "Only one private IP address can be the primary one" })
  const open = single === undefined ? list.find(({ Primary }) => Primary === undefined) : undefined
  const primary = primaries[0] ?? open
  if (primary !== undefined && single !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "PrivateIpAddress and a primary one of PrivateIpAddresses may not be specified on the same request",
    })
  const secondary = list.filter((each) => each !== primary).map(({ PrivateIpAddress = "" }) => PrivateIpAddress)
  if (secondary.length > 0 && count !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "PrivateIpAddresses and SecondaryPrivateIpAddressCount may not be specified on the same request",
    })
  if (count !== undefined && count < 0)
    throw raise("InvalidParameterValue", {
      detail: `Value (${count}) for parameter secondaryPrivateIpAddressCount is invalid.`,
    })
  return { secondary, secondaryCount: count ?? 0, ...given("address", single ?? primary?.PrivateIpAddress) }
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined || value === "" ? {} : { [key]: value }) as { readonly [P in K]?: V }
}
