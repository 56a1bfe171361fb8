/** What a host has to know of a VPC: its router. Groups and ports come in assignments of their own. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { privateDomain } from "../network-interfaces/names.ts"
import { parseNetwork, toAddress } from "./addresses.ts"
import type { SubnetRecord, VpcRecord } from "./record.ts"

/** Puts the network into the draft, as the host's wish. `subnets` are all of the VPC. */
export function assignNetwork(call: Call, vpc: Resource<VpcRecord>, subnets: readonly Resource<SubnetRecord>[]): void {
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
  })
}
