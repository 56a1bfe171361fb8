/** Network ACLs as they are stored. There are default ones alone, which let everything pass; hosts have nothing to do for them. */
import type { Call } from "#cloud/call.ts"
import { defineKind, newId, type Tagged } from "#cloud/resources/kind.ts"

export interface NetworkAclRecord extends Tagged {
  readonly vpc: string
  readonly isDefault: boolean
  readonly associations: readonly { readonly id: string; readonly subnet: string }[]
}

/** In each direction: everything passes, and what nothing lets pass is denied ("Default network ACL" of the VPC guide). */
export const defaultEntries = [true, false].flatMap((egress) => [
  { egress, number: 100, action: "allow" as const, protocol: "-1", cidr: "0.0.0.0/0" },
  { egress, number: 32_767, action: "deny" as const, protocol: "-1", cidr: "0.0.0.0/0" },
])

export const networkAclKind = defineKind<NetworkAclRecord>({
  name: "network-acl",
  prefix: "acl",
  schema: 1,
  notFound: ["InvalidNetworkAclID.NotFound", "The networkAcl ID '{id}' does not exist"],
  malformed: ["InvalidNetworkAclId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "network-acl-id": id,
    "owner-id": account,
    "vpc-id": record.vpc,
    default: record.isDefault,
    "association.association-id": record.associations.map((each) => each.id),
    "association.network-acl-id": record.associations.length > 0 ? id : undefined,
    "association.subnet-id": record.associations.map((each) => each.subnet),
    "entry.cidr": "0.0.0.0/0",
    "entry.egress": ["true", "false"],
    "entry.protocol": "-1",
    "entry.rule-action": ["allow", "deny"],
    "entry.rule-number": defaultEntries.map(({ number }) => String(number)),
  }),
})

/** The default ACL of a VPC that has none yet, for all its subnets, in the draft. It goes with the VPC. */
export function createDefaultAcl(call: Call, vpc: string, subnets: readonly string[]): void {
  const associations = subnets.map((subnet) => ({ id: newId("aclassoc"), subnet }))
  const acl = call.draft.create(networkAclKind, { vpc, isDefault: true, associations, tags: [] })
  call.draft.link(acl.id, vpc, "owned")
}
