/** VPCs, subnets, route tables and internet gateways as they are stored. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import type { PrivateDnsName, VpcNames } from "../network-interfaces/names.ts"

export interface VpcRecord extends Tagged {
  readonly cidr: string
  readonly isDefault: boolean
  readonly state: "pending" | "available"
  /** Unique in the home: names the network on the host. */
  readonly number: number
  /** "default": none. */
  readonly dhcpOptions: string
  /** The domain of its DHCP options, where that is not the region's own. */
  readonly dhcpDomain?: string
  /** Its attributes, where they are not a default VPC's. */
  readonly dnsSupport?: false
  readonly dnsHostnames?: false
  readonly cidrAssociation: string
}

/** What its interfaces have to know of it. */
export function vpcNamesOf({ dnsSupport, dnsHostnames, dhcpDomain }: VpcRecord): VpcNames | undefined {
  const publicNames = dnsSupport !== false && dnsHostnames !== false
  if (publicNames && dhcpDomain === undefined) return undefined
  return { ...(publicNames ? {} : { publicNames }), ...(dhcpDomain === undefined ? {} : { domain: dhcpDomain }) }
}

export const vpcKind = defineKind<VpcRecord>({
  name: "vpc",
  prefix: "vpc",
  schema: 1,
  notFound: ["InvalidVpcID.NotFound", "The vpc ID '{id}' does not exist"],
  malformed: ["InvalidVpcID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "vpc-id": id,
    "owner-id": account,
    cidr: record.cidr,
    "cidr-block-association.cidr-block": record.cidr,
    "cidr-block-association.association-id": record.cidrAssociation,
    "cidr-block-association.state": "associated",
    "dhcp-options-id": record.dhcpOptions,
    "is-default": record.isDefault,
    state: record.state,
  }),
})

export interface SubnetRecord extends Tagged {
  readonly vpc: string
  readonly cidr: string
  readonly zone: string
  readonly zoneId: string
  readonly defaultForZone: boolean
  readonly mapPublicIpOnLaunch: boolean
  /** CIDRs that are given to nobody by themselves. */
  readonly reserved?: readonly string[]
  /** Of instances that are launched in it. */
  readonly privateDnsName?: PrivateDnsName
  readonly state: "pending" | "available"
}

export const subnetKind = defineKind<SubnetRecord>({
  name: "subnet",
  prefix: "subnet",
  schema: 1,
  notFound: ["InvalidSubnetID.NotFound", "The subnet ID '{id}' does not exist"],
  malformed: ["InvalidSubnetID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, region, record }) => ({
    "subnet-id": id,
    "subnet-arn": `arn:aws:ec2:${region}:${account}:subnet/${id}`,
    "owner-id": account,
    "vpc-id": record.vpc,
    "cidr-block": record.cidr,
    "availability-zone": record.zone,
    "availability-zone-id": record.zoneId,
    "default-for-az": record.defaultForZone,
    "map-public-ip-on-launch": record.mapPublicIpOnLaunch,
    state: record.state,
    "assign-ipv6-address-on-creation": false,
    "customer-owned-ipv4-pool": undefined,
    "enable-dns64": false,
    "ipv6-native": false,
    "map-customer-owned-ip-on-launch": false,
    "private-dns-name-options-on-launch.hostname-type": record.privateDnsName?.hostnameType ?? "ip-name",
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": record.privateDnsName?.aRecord ?? false,
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": false,
  }),
})

export interface RouteTableRecord extends Tagged {
  readonly vpc: string
  /** The association that makes it the VPC's main table. */
  readonly mainAssociation?: string
  readonly routes: readonly {
    readonly destination: string
    readonly target: string
    readonly origin: "CreateRouteTable" | "CreateRoute"
  }[]
}

export const routeTableKind = defineKind<RouteTableRecord>({
  name: "route-table",
  prefix: "rtb",
  schema: 1,
  notFound: ["InvalidRouteTableID.NotFound", "The routeTable ID '{id}' does not exist"],
  malformed: ["InvalidRouteTableId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "route-table-id": id,
    "owner-id": account,
    "vpc-id": record.vpc,
    "association.main": record.mainAssociation === undefined ? undefined : true,
    "association.route-table-association-id": record.mainAssociation,
    "association.route-table-id": record.mainAssociation === undefined ? undefined : id,
    "route.destination-cidr-block": record.routes.map((route) => route.destination),
    "route.gateway-id": record.routes.map((route) => route.target),
    "route.origin": record.routes.map((route) => route.origin),
    "route.state": record.routes.length > 0 ? "active" : undefined,
  }),
})

export interface InternetGatewayRecord extends Tagged {
  readonly vpc?: string
}

export const internetGatewayKind = defineKind<InternetGatewayRecord>({
  name: "internet-gateway",
  prefix: "igw",
  schema: 1,
  notFound: ["InvalidInternetGatewayID.NotFound", "The internetGateway ID '{id}' does not exist"],
  malformed: ["InvalidInternetGatewayId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "internet-gateway-id": id,
    "owner-id": account,
    "attachment.vpc-id": record.vpc,
    "attachment.state": record.vpc === undefined ? undefined : "available",
  }),
})
