/** DescribeAddresses. Elastic IPs cannot be allocated yet: the list holds what a later release will have put there. */
import type { Address } from "@aws-sdk/client-ec2"
import { Fault } from "#lib/fault.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { type AddressRecord, addressKind } from "./record.ts"

const filterNames = [
  "allocation-id",
  "association-id",
  "domain",
  "instance-id",
  "network-border-group",
  "network-interface-id",
  "network-interface-owner-id",
  "private-ip-address",
  "public-ip",
  "public-dns",
]

const describeAddresses: Handler<"DescribeAddresses"> = async (input, call) => {
  const wanted = input.PublicIps ?? []
  const page = await call.describe({
    kind: addressKind,
    ids: input.AllocationIds,
    filters: input.Filters,
    filterNames,
    ...(wanted.length === 0 ? {} : { also: [{ name: "public-ip", values: wanted }] }),
  })
  for (const ip of wanted)
    if (!page.items.some((item) => item.record.address === ip))
      throw new Fault("InvalidAddress.NotFound", `Address '${ip}' not found.`)
  return { Addresses: page.items.map(toAddressAnswer) }
}

function toAddressAnswer({ id, account, region, record }: Resource<AddressRecord>): Address {
  return {
    AllocationId: id,
    Domain: "vpc",
    PublicIp: record.address,
    PublicIpv4Pool: "amazon",
    NetworkBorderGroup: region,
    Tags: toTags(record.tags),
    ...(record.association === undefined ? {} : { AssociationId: record.association }),
    ...(record.instance === undefined ? {} : { InstanceId: record.instance }),
    ...(record.networkInterface === undefined
      ? {}
      : { NetworkInterfaceId: record.networkInterface, NetworkInterfaceOwnerId: account }),
    ...(record.privateAddress === undefined ? {} : { PrivateIpAddress: record.privateAddress }),
  }
}

export const handlers = { DescribeAddresses: pure(describeAddresses) } satisfies Handlers
