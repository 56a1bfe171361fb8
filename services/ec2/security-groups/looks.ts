/** Looks at groups from a VPC's side: which can be used in it, and which rules reach beyond it. */
import type { StaleIpPermission } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { asked, nextToken, renamed } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { vpcKind } from "../vpcs/record.ts"
import { showPermissions } from "./answer.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"

type Group = Resource<SecurityGroupRecord>

/** Groups that interfaces in the VPC may have: its own. None is shared with another VPC here. */
export const getSecurityGroupsForVpc: Handler<"GetSecurityGroupsForVpc"> = async (input, call) => {
  const vpc = await call.require(vpcKind, input.VpcId, "VpcId")
  const page = await call.describe({
    kind: securityGroupKind,
    filterNames: ["description", "group-id", "group-name", "owner-id", "vpc-id"],
    also: [{ name: "vpc-id", values: [vpc.id] }],
    ...asked(input),
    filters: renamed(input.Filters, { "primary-vpc-id": "vpc-id" }),
  })
  return {
    SecurityGroupForVpcs: page.items.map(({ id, account, record }) => ({
      GroupId: id,
      GroupName: record.name,
      Description: record.description,
      OwnerId: account,
      PrimaryVpcId: record.vpc,
      Tags: toTags(record.tags),
    })),
    ...nextToken(page),
  }
}

/** Groups of the VPC with rules that name a group which is gone. In one VPC a group that a rule names cannot be deleted. */
export const describeStaleSecurityGroups: Handler<"DescribeStaleSecurityGroups"> = async (input, call) => {
  const vpc = await call.require(vpcKind, input.VpcId, "VpcId")
  const page = await call.describe({
    kind: securityGroupKind,
    filterNames: [],
    also: [{ name: "vpc-id", values: [vpc.id] }],
    bounds: [5, 255],
    maxResults: input.MaxResults,
    nextToken: input.NextToken,
  })
  const named = page.items.flatMap(({ record }) => record.rules.flatMap(({ group }) => group?.id ?? []))
  const there = await call.load(securityGroupKind, named)
  const stale = ({ group }: RuleRecord) => group !== undefined && !there.has(group.id)
  return {
    StaleSecurityGroupSet: page.items.filter(({ record }) => record.rules.some(stale)).map((each) => show(each, stale)),
    ...nextToken(page),
  }
}

function show({ id, record }: Group, stale: (rule: RuleRecord) => boolean) {
  const side = (egress: boolean): StaleIpPermission[] =>
    showPermissions(record.rules.filter((rule) => rule.egress === egress && stale(rule))).map((permission) => ({
      IpProtocol: permission.IpProtocol,
      UserIdGroupPairs: permission.UserIdGroupPairs,
      ...(permission.FromPort === undefined ? {} : { FromPort: permission.FromPort, ToPort: permission.ToPort }),
    }))
  return {
    GroupId: id,
    GroupName: record.name,
    Description: record.description,
    VpcId: record.vpc,
    StaleIpPermissions: side(false),
    StaleIpPermissionsEgress: side(true),
  }
}

/** VPCs elsewhere whose groups have rules that name one of these. */
export const describeSecurityGroupReferences: Handler<"DescribeSecurityGroupReferences"> = async (input, call) => {
  const { GroupId: ids = [] } = input
  if (ids.length === 0) throw raise("MissingParameter", { name: "GroupId" })
  const groups = await call.requireMany(securityGroupKind, ids)
  const found = await Promise.all(groups.map((group) => referencesTo(call, group)))
  return { SecurityGroupReferenceSet: found.flat() }
}

async function referencesTo(call: Call, { id, record }: Group) {
  const sides = ["ip-permission.group-id", "egress.ip-permission.group-id"]
  const naming = (await Promise.all(sides.map((facet) => call.list(securityGroupKind, facet, id)))).flat()
  const vpcs = new Set(naming.map((group) => group.record.vpc).filter((vpc) => vpc !== record.vpc))
  return [...vpcs].map((vpc) => ({ GroupId: id, ReferencingVpcId: vpc }))
}
