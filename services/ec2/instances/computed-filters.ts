/** Filters of DescribeInstances that no index of the store answers: what a page shows is looked at. */
import type { Instance } from "@aws-sdk/client-ec2"
import { toPut, type Resource } from "#cloud/resources/kind.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../network-interfaces/record.ts"
import { instanceFilters } from "./filter-names.ts"

type Values = readonly (string | undefined)[]
type Interface = Resource<NetworkInterfaceRecord>

const own: Readonly<Record<string, (instance: Instance) => Values>> = {
  "block-device-mapping.attach-time": ({ BlockDeviceMappings: devices = [] }) =>
    devices.map((device) => device.Ebs?.AttachTime?.toISOString()),
  "boot-mode": (instance) => [instance.BootMode],
  "capacity-reservation-specification.capacity-reservation-preference": (instance) => [
    instance.CapacityReservationSpecification?.CapacityReservationPreference,
  ],
  "current-instance-boot-mode": (instance) => [instance.CurrentInstanceBootMode],
  // Metadata is served over IPv4 wherever it is served.
  "metadata-options.http-protocol-ipv4": (instance) => [instance.MetadataOptions?.HttpEndpoint],
  "metadata-options.http-protocol-ipv6": (instance) => [instance.MetadataOptions?.HttpProtocolIpv6],
  "metadata-options.state": (instance) => [instance.MetadataOptions?.State],
  "operator.managed": () => ["false"],
  "private-dns-name-options.enable-resource-name-dns-a-record": (instance) => [
    String(instance.PrivateDnsNameOptions?.EnableResourceNameDnsARecord),
  ],
  "private-dns-name-options.enable-resource-name-dns-aaaa-record": (instance) => [
    String(instance.PrivateDnsNameOptions?.EnableResourceNameDnsAAAARecord),
  ],
  "private-dns-name-options.hostname-type": (instance) => [instance.PrivateDnsNameOptions?.HostnameType],
  "usage-operation-update-time": (instance) => [instance.UsageOperationUpdateTime?.toISOString()],
}

const interfacePrefix = "network-interface."

/** Names under which DescribeNetworkInterfaces has what DescribeInstances calls otherwise. */
const nameOfInterface: Readonly<Record<string, string>> = {
  "addresses.association.allocation-id": "association.allocation-id",
  "addresses.association.association-id": "association.association-id",
  "addresses.association.ip-owner-id": "association.ip-owner-id",
  "addresses.association.public-dns-name": "association.public-dns-name",
  "addresses.private-dns-name": "private-dns-name",
  "public-dns-name": "association.public-dns-name",
}

function ofInterface(name: string, { record, ...rest }: Interface): Values {
  if (name === "tag-key") return record.tags.map(({ key }) => key)
  if (name === "tag-value") return record.tags.map(({ value }) => value)
  if (name === "attachment.network-card-index") return record.attachment === undefined ? [] : ["0"]
  return toPut(networkInterfaceKind, { ...rest, record }).facets[nameOfInterface[name] ?? name] ?? []
}

/** What instances have an index of, though it stands in their interfaces. */
const indexed: ReadonlySet<string> = new Set(
  ["group-id", "group-name", "network-interface-id", "subnet-id", "vpc-id"].map((name) => interfacePrefix + name),
)

export const computedFilters: readonly string[] = instanceFilters.filter(
  (name) => Object.hasOwn(own, name) || (name.startsWith(interfacePrefix) && !indexed.has(name)),
)

/** An instance's values of one of `computedFilters`. */
export function computedValues(name: string, instance: Instance, interfaces: readonly Interface[]): Values {
  return name.startsWith(interfacePrefix)
    ? interfaces.flatMap((each) => ofInterface(name.slice(interfacePrefix.length), each))
    : (own[name]?.(instance) ?? [])
}
