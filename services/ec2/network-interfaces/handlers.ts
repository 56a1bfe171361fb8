/** DescribeNetworkInterfaces. */
import { pure } from "#cloud/service.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toNetworkInterface } from "./answer.ts"
import { handlers as assignment } from "./assign-addresses.ts"
import { handlers as attributes } from "./attributes.ts"
import { networkInterfaceKind } from "./record.ts"

const filterNames = [
  "addresses.association.owner-id",
  "addresses.association.public-ip",
  "addresses.primary",
  "addresses.private-ip-address",
  "association.allocation-id",
  "association.association-id",
  "association.ip-owner-id",
  "association.public-dns-name",
  "association.public-ip",
  "attachment.attach-time",
  "attachment.attachment-id",
  "attachment.delete-on-termination",
  "attachment.device-index",
  "attachment.instance-id",
  "attachment.instance-owner-id",
  "attachment.status",
  "availability-zone",
  "availability-zone-id",
  "description",
  "group-id",
  "group-name",
  "interface-type",
  "ipv6-addresses.ipv6-address",
  "mac-address",
  "network-interface-id",
  "operator.managed",
  "operator.principal",
  "owner-id",
  "private-dns-name",
  "private-ip-address",
  "requester-id",
  "requester-managed",
  "source-dest-check",
  "status",
  "subnet-id",
  "vpc-id",
]

const describeNetworkInterfaces: Handler<"DescribeNetworkInterfaces"> = async (input, call) => {
  const page = await call.describe({
    kind: networkInterfaceKind,
    ids: input.NetworkInterfaceIds,
    filterNames,
    ...asked(input),
  })
  return { NetworkInterfaces: page.items.map(toNetworkInterface), ...nextToken(page) }
}

export const handlers = {
  ...assignment,
  ...attributes,
  DescribeNetworkInterfaces: pure(describeNetworkInterfaces),
} satisfies Handlers
