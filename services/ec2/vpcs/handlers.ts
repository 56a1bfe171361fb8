/** DescribeVpcs, DescribeSubnets, DescribeRouteTables, DescribeInternetGateways. */
import type { InternetGateway, RouteTable, Subnet, Vpc } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { fits } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import type { Handler, Handlers } from "../handler.ts"
import { asked, nextToken, renamed } from "../filters.ts"
import { toPrivateDnsNameOptions } from "../network-interfaces/names.ts"
import { listTags, toTags } from "../tags/answer.ts"
import { usableRange } from "./addresses.ts"
import { handlers as attributes } from "./attributes.ts"
import { handlers as subnetAttributes } from "./subnet-attributes.ts"
import { subnetScope } from "./subnet-scope.ts"
import {
  type InternetGatewayRecord,
  internetGatewayKind,
  type RouteTableRecord,
  routeTableKind,
  type SubnetRecord,
  subnetKind,
  type VpcRecord,
  vpcKind,
} from "./record.ts"

const vpcFilters = [
  "cidr",
  "cidr-block-association.association-id",
  "cidr-block-association.cidr-block",
  "cidr-block-association.state",
  "dhcp-options-id",
  "ipv6-cidr-block-association.association-id",
  "ipv6-cidr-block-association.ipv6-cidr-block",
  "ipv6-cidr-block-association.ipv6-pool",
  "ipv6-cidr-block-association.state",
  "is-default",
  "owner-id",
  "state",
  "vpc-id",
]

/** Names that EC2 still takes; ansible's ec2_vpc_net asks by "cidr-block". */
const olderVpcFilters = {
  "cidr-block": "cidr",
  cidrBlock: "cidr",
  dhcpOptionsId: "dhcp-options-id",
  isDefault: "is-default",
}

const describeVpcs: Handler<"DescribeVpcs"> = async (input, call) => {
  const page = await call.describe({
    kind: vpcKind,
    ids: input.VpcIds,
    filters: renamed(input.Filters, olderVpcFilters),
    filterNames: vpcFilters,
    maxResults: input.MaxResults,
    nextToken: input.NextToken,
  })
  return { Vpcs: page.items.map(toVpc), ...nextToken(page) }
}

function toVpc({ id, account, record }: Resource<VpcRecord>): Vpc {
  return {
    VpcId: id,
    OwnerId: account,
    CidrBlock: record.cidr,
    CidrBlockAssociationSet: [
      { AssociationId: record.cidrAssociation, CidrBlock: record.cidr, CidrBlockState: { State: "associated" } },
    ],
    DhcpOptionsId: record.dhcpOptions,
    InstanceTenancy: "default",
    IsDefault: record.isDefault,
    State: record.state,
    Tags: toTags(record.tags),
  }
}

/** Addresses come and go with every launch: counted, not indexed. */
const freeCount = "available-ip-address-count"

const subnetFilters = [
  "availability-zone",
  "availability-zone-id",
  freeCount,
  "cidr-block",
  "customer-owned-ipv4-pool",
  "default-for-az",
  "enable-dns64",
  "enable-lni-at-device-index",
  "ipv6-cidr-block-association.association-id",
  "ipv6-cidr-block-association.ipv6-cidr-block",
  "ipv6-cidr-block-association.state",
  "ipv6-native",
  "map-customer-owned-ip-on-launch",
  "map-public-ip-on-launch",
  "outpost-arn",
  "owner-id",
  "private-dns-name-options-on-launch.hostname-type",
  "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
  "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
  "state",
  "subnet-arn",
  "subnet-id",
  "vpc-id",
]

const describeSubnets: Handler<"DescribeSubnets"> = async (input, call) => {
  const names = {
    availabilityZone: "availability-zone",
    availabilityZoneId: "availability-zone-id",
    cidr: "cidr-block",
    cidrBlock: "cidr-block",
    defaultForAz: "default-for-az",
  }
  const page = await call.describe({
    kind: subnetKind,
    ids: input.SubnetIds,
    filters: renamed(input.Filters, names),
    filterNames: subnetFilters,
    computed: [freeCount],
    maxResults: input.MaxResults,
    nextToken: input.NextToken,
  })
  const free = await freeAddresses(call, page.items)
  const subnets = page.items.map((subnet) => toSubnet(subnet, free.get(subnet.id) ?? 0))
  return {
    Subnets: subnets.filter((subnet) => fits(page.remaining, () => [String(subnet.AvailableIpAddressCount)])),
    ...nextToken(page),
  }
}

async function freeAddresses(
  call: Call,
  subnets: readonly Resource<SubnetRecord>[],
): Promise<ReadonlyMap<string, number>> {
  const used = await call.store.countClaims(subnets.map((subnet) => subnetScope(subnet.id)))
  return new Map(
    subnets.map((subnet) => [
      subnet.id,
      usableRange(subnet.record.cidr).count - (used.get(subnetScope(subnet.id)) ?? 0),
    ]),
  )
}

function toSubnet({ id, account, region, record }: Resource<SubnetRecord>, free: number): Subnet {
  return {
    SubnetId: id,
    SubnetArn: `arn:aws:ec2:${region}:${account}:subnet/${id}`,
    OwnerId: account,
    VpcId: record.vpc,
    CidrBlock: record.cidr,
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    AvailableIpAddressCount: free,
    DefaultForAz: record.defaultForZone,
    MapPublicIpOnLaunch: record.mapPublicIpOnLaunch,
    MapCustomerOwnedIpOnLaunch: false,
    AssignIpv6AddressOnCreation: false,
    EnableDns64: false,
    Ipv6Native: false,
    Ipv6CidrBlockAssociationSet: [],
    PrivateDnsNameOptionsOnLaunch: toPrivateDnsNameOptions(record.privateDnsName),
    State: record.state,
    Tags: toTags(record.tags),
  }
}

const routeTableFilters = [
  "association.gateway-id",
  "association.main",
  "association.route-table-association-id",
  "association.route-table-id",
  "association.subnet-id",
  "owner-id",
  "route-table-id",
  "route.destination-cidr-block",
  "route.destination-ipv6-cidr-block",
  "route.destination-prefix-list-id",
  "route.egress-only-internet-gateway-id",
  "route.gateway-id",
  "route.instance-id",
  "route.nat-gateway-id",
  "route.origin",
  "route.state",
  "route.transit-gateway-id",
  "route.vpc-peering-connection-id",
  "vpc-id",
]

const describeRouteTables: Handler<"DescribeRouteTables"> = async (input, call) => {
  const page = await call.describe({
    kind: routeTableKind,
    ids: input.RouteTableIds,
    filterNames: routeTableFilters,
    ...asked(input),
    bounds: [5, 100],
  })
  return { RouteTables: page.items.map(toRouteTable), ...nextToken(page) }
}

function toRouteTable({ id, account, record }: Resource<RouteTableRecord>): RouteTable {
  const main = record.mainAssociation
  return {
    RouteTableId: id,
    OwnerId: account,
    VpcId: record.vpc,
    Associations:
      main === undefined
        ? []
        : [{ Main: true, RouteTableAssociationId: main, RouteTableId: id, AssociationState: { State: "associated" } }],
    PropagatingVgws: [],
    Routes: record.routes.map((route) => ({
      DestinationCidrBlock: route.destination,
      GatewayId: route.target,
      Origin: route.origin,
      State: "active",
    })),
    Tags: listTags(record.tags),
  }
}

const describeInternetGateways: Handler<"DescribeInternetGateways"> = async (input, call) => {
  const page = await call.describe({
    kind: internetGatewayKind,
    ids: input.InternetGatewayIds,
    filterNames: ["attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id"],
    ...asked(input),
  })
  return { InternetGateways: page.items.map(toInternetGateway), ...nextToken(page) }
}

function toInternetGateway({ id, account, record }: Resource<InternetGatewayRecord>): InternetGateway {
  return {
    InternetGatewayId: id,
    OwnerId: account,
    Attachments: record.vpc === undefined ? [] : [{ State: "available" as never, VpcId: record.vpc }],
    Tags: listTags(record.tags),
  }
}

export const handlers = {
  ...attributes,
  ...subnetAttributes,
  DescribeVpcs: pure(describeVpcs),
  DescribeSubnets: pure(describeSubnets),
  DescribeRouteTables: pure(describeRouteTables),
  DescribeInternetGateways: pure(describeInternetGateways),
} satisfies Handlers
