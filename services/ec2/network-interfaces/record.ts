/** Network interfaces as they are stored: the truth about addresses of instances. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import { addressesOf, publicAddressesOf } from "./addresses.ts"
import { privateDnsName, publicNameOf, type VpcNames } from "./names.ts"

/** A public address that comes and goes with the running instance, or an Elastic IP. */
export interface PublicAddress {
  readonly address: string
  readonly allocation?: string
  readonly association?: string
}

export interface SecondaryAddress {
  readonly address: string
  readonly publicAddress?: PublicAddress
}

/** Claims on the numbers of all interfaces of the home. */
export const portNumberScope = "port-number"

export interface NetworkInterfaceRecord extends Tagged {
  /** Unique in the home: its tap and its infrastructure address follow from it. */
  readonly number: number
  readonly subnet: string
  readonly subnetCidr: string
  readonly vpc: string
  readonly vpcCidr: string
  readonly vpcNames?: VpcNames
  readonly zone: string
  readonly zoneId: string
  readonly mac: string
  readonly address: string
  readonly description: string
  readonly groups: readonly { readonly id: string; readonly name: string }[]
  readonly sourceDestCheck: boolean
  readonly createdMs: number
  /** Of `address`. */
  readonly publicAddress?: PublicAddress
  readonly secondaryAddresses?: readonly SecondaryAddress[]
  /** Wish of the launch: an address of the pool whenever the instance runs. */
  readonly autoPublic: boolean
  readonly attachment?: {
    readonly id: string
    readonly instance: string
    readonly deviceIndex: number
    readonly attachedMs: number
    readonly status: "attaching" | "attached" | "detaching"
    readonly deleteOnTermination: boolean
  }
}

export const networkInterfaceKind = defineKind<NetworkInterfaceRecord>({
  name: "network-interface",
  prefix: "eni",
  schema: 1,
  notFound: ["InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{id}' does not exist"],
  malformed: ["InvalidNetworkInterfaceId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, region, record }) => ({
    "network-interface-id": id,
    "owner-id": account,
    "requester-managed": false,
    "interface-type": "interface",
    "availability-zone": record.zone,
    "availability-zone-id": record.zoneId,
    "operator.managed": false,
    description: record.description,
    "group-id": record.groups.map((group) => group.id),
    "group-name": record.groups.map((group) => group.name),
    "mac-address": record.mac,
    "private-ip-address": record.address,
    "private-dns-name": privateDnsName(record.address, region),
    "addresses.private-ip-address": addressesOf(record).map(({ address }) => address),
    "addresses.primary": record.secondaryAddresses === undefined ? true : ["true", "false"],
    ...associationFacets(account, region, record),
    "attachment.attachment-id": record.attachment?.id,
    "attachment.attach-time": record.attachment && new Date(record.attachment.attachedMs).toISOString(),
    "attachment.delete-on-termination": record.attachment?.deleteOnTermination,
    "attachment.device-index": record.attachment?.deviceIndex,
    "attachment.instance-id": record.attachment?.instance,
    "attachment.instance-owner-id": record.attachment && account,
    "attachment.status": record.attachment?.status,
    "source-dest-check": record.sourceDestCheck,
    status: record.attachment === undefined ? "available" : "in-use",
    "subnet-id": record.subnet,
    "vpc-id": record.vpc,
  }),
})

function associationFacets(account: string, region: string, record: NetworkInterfaceRecord) {
  const held = publicAddressesOf(record)
  const owners = held.map(({ allocation }) => (allocation === undefined ? "amazon" : account))
  const addresses = held.map(({ address }) => address)
  return {
    "addresses.association.public-ip": addresses,
    "addresses.association.owner-id": owners,
    "association.allocation-id": held.map(({ allocation }) => allocation),
    "association.association-id": held.map(({ association }) => association),
    "association.ip-owner-id": owners,
    "association.public-ip": addresses,
    "association.public-dns-name": addresses.map((address) => publicNameOf(address, record.vpcNames, region)),
  }
}
