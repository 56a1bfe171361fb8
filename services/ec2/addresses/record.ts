/** Elastic IP addresses as they are stored. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import { publicDnsName } from "../network-interfaces/names.ts"

export interface AddressRecord extends Tagged {
  readonly address: string
  readonly association?: string
  readonly networkInterface?: string
  readonly instance?: string
  readonly privateAddress?: string
}

export const addressKind = defineKind<AddressRecord>({
  name: "elastic-ip",
  prefix: "eipalloc",
  schema: 1,
  notFound: ["InvalidAllocationID.NotFound", "The allocation ID '{id}' does not exist"],
  malformed: ["InvalidAllocationID.NotFound", "The allocation ID '{id}' does not exist"],
  facets: ({ id, account, region, record }) => ({
    "allocation-id": id,
    "association-id": record.association,
    domain: "vpc",
    "instance-id": record.instance,
    "network-border-group": region,
    "network-interface-id": record.networkInterface,
    "network-interface-owner-id": record.networkInterface && account,
    "private-ip-address": record.privateAddress,
    "public-ip": record.address,
    "public-dns": publicDnsName(record.address, region),
  }),
})
