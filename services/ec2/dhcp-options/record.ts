/** Sets of DHCP options as they are stored. They never change; VPCs refer to them. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import type { DhcpOptions } from "#host/protocol/types.ts"
import { privateDomain } from "../network-interfaces/names.ts"

export interface DhcpOptionsRecord extends Tagged {
  /** By name as EC2 has it, each once; at least one value each. */
  readonly configurations: readonly { readonly key: string; readonly values: readonly string[] }[]
}

export const dhcpOptionsKind = defineKind<DhcpOptionsRecord>({
  name: "dhcp-options",
  prefix: "dopt",
  schema: 1,
  notFound: ["InvalidDhcpOptionID.NotFound", "The dhcpOption ID '{id}' does not exist"],
  malformed: ["InvalidDhcpOptionsId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record: { configurations } }) => ({
    "dhcp-options-id": id,
    "owner-id": account,
    key: configurations.map(({ key }) => key),
    value: configurations.flatMap(({ values }) => values),
  }),
})

/** What DHCP calls the VPC's own resolver. */
export const ownResolver = "AmazonProvidedDNS"

/** Those that each region's default VPC has ("DHCP option sets in Amazon VPC"). */
export function defaultOptions(region: string): DhcpOptionsRecord {
  return {
    configurations: [
      { key: "domain-name", values: [privateDomain(region)] },
      { key: "domain-name-servers", values: [ownResolver] },
    ],
    tags: [],
  }
}

const valuesOf = (record: DhcpOptionsRecord | undefined, name: string) =>
  record?.configurations.find(({ key }) => key === name)?.values ?? []

/** Domains, which clients take in one text with spaces between. */
const domainsOf = (record: DhcpOptionsRecord | undefined) =>
  valuesOf(record, "domain-name").flatMap((value) => value.split(" "))

/** What a host hands out for a set, or for none. */
export function handedOut(record: DhcpOptionsRecord | undefined): DhcpOptions {
  const [nodeType] = valuesOf(record, "netbios-node-type")
  return {
    domainNames: domainsOf(record),
    nameServers: valuesOf(record, "domain-name-servers").map((server) =>
      server === ownResolver ? "resolver" : server,
    ),
    ntpServers: valuesOf(record, "ntp-servers"),
    netbiosNameServers: valuesOf(record, "netbios-name-servers"),
    ...(nodeType === undefined ? {} : { netbiosNodeType: Number(nodeType) }),
  }
}

/** The domain by which guests call themselves, where a set has another than the region's own. */
export function ownDomain(record: DhcpOptionsRecord | undefined, region: string): string | undefined {
  const [domain] = domainsOf(record)
  return domain === privateDomain(region) ? undefined : domain
}
