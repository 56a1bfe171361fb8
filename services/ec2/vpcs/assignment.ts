/** What a host has to know of a VPC: its router. Groups and ports come in assignments of their own. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { type DhcpOptionsRecord, dhcpOptionsKind, handedOut } from "../dhcp-options/record.ts"
import { assignGuest, ownInterfaces } from "../instances/assignment.ts"
import { instanceKind } from "../instances/record.ts"
import { privateDomain, publicNameOf } from "../network-interfaces/names.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { parseNetwork, toAddress } from "./addresses.ts"
import { listInVpc } from "./pages.ts"
import { type SubnetRecord, subnetKind, type VpcRecord, vpcKind, vpcNamesOf } from "./record.ts"

type Vpc = Resource<VpcRecord>

/** Puts the network into the draft, as the host's wish. `subnets` are all of the VPC; without `options` DHCP tells addresses and routers alone. */
export function assignNetwork(
  call: Call,
  vpc: Vpc,
  subnets: readonly Resource<SubnetRecord>[],
  options: DhcpOptionsRecord | undefined,
): void {
  const { dnsSupport, dnsHostnames } = vpc.record
  call.draft.assign(localHost, vpc.id, {
    kind: "network",
    id: vpc.id,
    number: vpc.record.number,
    cidr: vpc.record.cidr,
    subnets: subnets.map((subnet) => ({
      id: subnet.id,
      cidr: subnet.record.cidr,
      gateway: toAddress(parseNetwork(subnet.record.cidr).base + 1),
      // Every subnet of a default VPC uses the main route table, which leads to the internet gateway.
      internet: true,
    })),
    domainName: privateDomain(call.region),
    dhcp: handedOut(options),
    ...(dnsSupport === false ? { resolver: "off" } : dnsHostnames === false ? { resolver: "no-port-names" } : {}),
  })
}

/**
 * The VPC with another record, and all that follows: its network on the host, and the names of all that is in it. An interface that comes
 * meanwhile expects the VPC as it was, and meets this.
 */
export async function changeVpc(call: Call, vpc: Vpc, record: VpcRecord): Promise<void> {
  const changed = call.draft.update(vpcKind, vpc, record)
  const subnets = await listInVpc(call, subnetKind, vpc.id)
  const options = await call.find(dhcpOptionsKind, record.dhcpOptions)
  assignNetwork(call, changed, subnets, options?.record)
  if (JSON.stringify(vpcNamesOf(record)) !== JSON.stringify(vpcNamesOf(vpc.record))) await rename(call, changed)
}

/** Interfaces and instances are called as their VPC says now; guests see it in their metadata. */
async function rename(call: Call, vpc: Vpc): Promise<void> {
  const vpcNames = vpcNamesOf(vpc.record)
  const interfaces = (await listInVpc(call, networkInterfaceKind, vpc.id)).map((resource) => {
    const { vpcNames: _, ...record } = resource.record
    return call.draft.update(networkInterfaceKind, resource, { ...record, ...(vpcNames && { vpcNames }) })
  })
  const byId = new Map(interfaces.map((each) => [each.id, each]))
  const holders = interfaces.flatMap(({ record }) => record.attachment?.instance ?? [])
  const instances = await call.load(instanceKind, holders)
  for (const instance of instances.values()) {
    const { publicDnsName: _, ...record } = instance.record
    if (record.state === "shutting-down" || record.state === "terminated") continue
    const publicDnsName = publicNameOf(record.publicAddress, vpcNames, call.region)
    const changed = { ...record, ...(publicDnsName === undefined ? {} : { publicDnsName }) }
    const shown = call.draft.update(instanceKind, instance, changed)
    assignGuest(call, shown, ownInterfaces(shown, byId))
  }
}
