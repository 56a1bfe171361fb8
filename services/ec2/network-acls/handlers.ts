/** DescribeNetworkAcls. */
import type { NetworkAcl } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { listTags } from "../tags/answer.ts"
import { defaultEntries, type NetworkAclRecord, networkAclKind } from "./record.ts"

const filterNames = [
  "association.association-id",
  "association.network-acl-id",
  "association.subnet-id",
  "default",
  "entry.cidr",
  "entry.egress",
  "entry.icmp.code",
  "entry.icmp.type",
  "entry.ipv6-cidr",
  "entry.port-range.from",
  "entry.port-range.to",
  "entry.protocol",
  "entry.rule-action",
  "entry.rule-number",
  "network-acl-id",
  "owner-id",
  "vpc-id",
]

const describeNetworkAcls: Handler<"DescribeNetworkAcls"> = async (input, call) => {
  const page = await call.describe({ kind: networkAclKind, ids: input.NetworkAclIds, filterNames, ...asked(input) })
  return { NetworkAcls: page.items.map(toNetworkAcl), ...nextToken(page) }
}

function toNetworkAcl({ id, account, record }: Resource<NetworkAclRecord>): NetworkAcl {
  return {
    NetworkAclId: id,
    OwnerId: account,
    VpcId: record.vpc,
    IsDefault: record.isDefault,
    Associations: record.associations.map((each) => ({
      NetworkAclAssociationId: each.id,
      NetworkAclId: id,
      SubnetId: each.subnet,
    })),
    Entries: defaultEntries.map(({ egress, number, action, protocol, cidr }) => ({
      CidrBlock: cidr,
      Egress: egress,
      Protocol: protocol,
      RuleAction: action,
      RuleNumber: number,
    })),
    Tags: listTags(record.tags),
  }
}

export const handlers = { DescribeNetworkAcls: pure(describeNetworkAcls) } satisfies Handlers
