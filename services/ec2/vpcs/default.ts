/**
 * The default VPC of a region: 172.31.0.0/16, a /20 in each zone, an internet gateway, a main route table, the default security group
 * ("Default VPC components" of the VPC guide). Made on the first call to a region.
 */
import { randomBytes } from "node:crypto"
import { type Call, type CallInfo, type Cloud, runCall } from "#cloud/call.ts"
import { raise } from "#cloud/errors.ts"
import { newId, type Resource } from "#cloud/resources/kind.ts"
import { findNumbers } from "#cloud/resources/numbers.ts"
import { defaultOptions, dhcpOptionsKind } from "../dhcp-options/record.ts"
import { createDefaultAcl, networkAclKind } from "../network-acls/record.ts"
import { zonesOf } from "../regions/data.ts"
import { createDefaultGroup } from "../security-groups/default.ts"
import { toAddress, toNumber } from "./addresses.ts"
import { assignNetwork } from "./assignment.ts"
import { internetGatewayKind, routeTableKind, subnetKind, type VpcRecord, vpcKind } from "./record.ts"

const cidr = "172.31.0.0/16"
const subnetBits = 20
export const networkNumberScope = "network-number"
const lastNetworkNumber = 4095

/** The caller's default VPC in this region, or undefined if it was deleted. */
export async function defaultVpcOf(call: Call): Promise<Resource<VpcRecord> | undefined> {
  return (await call.list(vpcKind, "is-default", "true"))[0]
}

const scopeOf = (account: string, region: string) => `default-vpc/${account}/${region}`

/** Regions that were seen to have theirs; emptied when the cloud is reset. */
export function createDefaultVpcs(): { ensure(cloud: Cloud, info: CallInfo): Promise<void>; forget(): void } {
  const known = new Set<string>()
  const making = new Map<string, Promise<void>>()
  return {
    async ensure(cloud, info) {
      const scope = scopeOf(info.caller.account, info.region)
      if (known.has(scope)) return
      let promise = making.get(scope)
      if (promise === undefined) {
        promise = runCall(cloud, info, false, (call) => makeDefaultVpc(call, scope)).finally(() => making.delete(scope))
        making.set(scope, promise)
      }
      await promise
      known.add(scope)
    },
    forget: () => known.clear(),
  }
}

async function makeDefaultVpc(call: Call, scope: string): Promise<void> {
  if ((await call.store.claims(scope)).length > 0) return completeDefaultVpc(call)
  const [number] = (await findNumbers(call.store, networkNumberScope, 1, lastNetworkNumber, 1)) ?? []
  if (number === undefined) throw raise("InvalidParameterValue", { detail: "This home has no room for another VPC" })
  const { draft } = call
  const options = draft.create(dhcpOptionsKind, defaultOptions(call.region))
  const vpc = draft.create(vpcKind, {
    cidr,
    isDefault: true,
    state: "available",
    number,
    dhcpOptions: options.id,
    cidrAssociation: newId("vpc-cidr-assoc"),
    tags: [],
  })
  draft.claim(scope, "made", scope)
  draft.claim(networkNumberScope, number, vpc.id)
  const gateway = draft.create(internetGatewayKind, { vpc: vpc.id, tags: [] })
  const routes = draft.create(routeTableKind, {
    vpc: vpc.id,
    mainAssociation: `rtbassoc-${randomBytes(9).toString("hex").slice(0, 17)}`,
    routes: [
      { destination: cidr, target: "local", origin: "CreateRouteTable" },
      { destination: "0.0.0.0/0", target: gateway.id, origin: "CreateRoute" },
    ],
    tags: [],
  })
  draft.link(vpc.id, options.id, "blocks")
  draft.link(gateway.id, vpc.id, "blocks")
  draft.link(routes.id, vpc.id, "owned")
  const subnets = zonesOf(call.region).map((zone, index) =>
    draft.create(subnetKind, {
      vpc: vpc.id,
      cidr: `${toAddress(toNumber("172.31.0.0") + index * 2 ** (32 - subnetBits))}/${subnetBits}`,
      zone: zone.name,
      zoneId: zone.id,
      defaultForZone: true,
      mapPublicIpOnLaunch: true,
      state: "available",
      tags: [],
    }),
  )
  for (const subnet of subnets) draft.link(subnet.id, vpc.id, "blocks")
  createDefaultGroup(call, vpc.id)
  createDefaultAcl(
    call,
    vpc.id,
    subnets.map((subnet) => subnet.id),
  )
  assignNetwork(call, vpc, subnets, options.record)
  await call.commit()
}

/** What a default VPC of an earlier release names and does not have. */
async function completeDefaultVpc(call: Call): Promise<void> {
  const vpc = await defaultVpcOf(call)
  if (vpc === undefined) return
  const { dhcpOptions: id } = vpc.record
  if (id !== "default" && (await call.find(dhcpOptionsKind, id)) === undefined) {
    call.draft.create(dhcpOptionsKind, defaultOptions(call.region), id)
    call.draft.link(vpc.id, id, "blocks")
  }
  if ((await call.list(networkAclKind, "vpc-id", vpc.id)).length === 0) {
    const subnets = await call.list(subnetKind, "vpc-id", vpc.id)
    createDefaultAcl(
      call,
      vpc.id,
      subnets.map((subnet) => subnet.id),
    )
  }
  await call.commit()
}
