/** Groups and rules as answers show them. */
import type { IpPermission, RevokedSecurityGroupRule, SecurityGroup, SecurityGroupRule } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { listTags, toTags } from "../tags/answer.ts"
import type { Wish } from "./permissions.ts"
import type { RuleRecord, SecurityGroupRecord } from "./record.ts"

type Group = Resource<SecurityGroupRecord>

export const groupArn = ({ id, account, region }: Pick<Group, "id" | "account" | "region">) =>
  `arn:aws:ec2:${region}:${account}:security-group/${id}`

export function showGroup(group: Group): SecurityGroup {
  const { record } = group
  return {
    GroupId: group.id,
    GroupName: record.name,
    Description: record.description,
    OwnerId: group.account,
    VpcId: record.vpc,
    SecurityGroupArn: groupArn(group),
    IpPermissions: showPermissions(record.rules.filter((rule) => !rule.egress)),
    IpPermissionsEgress: showPermissions(record.rules.filter((rule) => rule.egress)),
    Tags: toTags(record.tags),
  }
}

/** Rules of one direction, those of the same protocol and ports in one entry, as EC2 merges them. */
export function showPermissions(rules: readonly Wish[]): IpPermission[] {
  const merged = new Map<string, Wish[]>()
  for (const rule of rules) {
    const key = `${rule.protocol} ${rule.fromPort} ${rule.toPort}`
    merged.set(key, [...(merged.get(key) ?? []), rule])
  }
  return [...merged.values()].map(showPermission)
}

function showPermission(rules: readonly Wish[]): IpPermission {
  const [first] = rules
  return {
    IpProtocol: first?.protocol,
    ...(hasPorts(first?.protocol) ? { FromPort: first?.fromPort, ToPort: first?.toPort } : {}),
    UserIdGroupPairs: rules.flatMap((rule) =>
      rule.group === undefined
        ? []
        : [{ GroupId: rule.group.id, UserId: rule.group.account, ...showDescription(rule) }],
    ),
    IpRanges: rules.flatMap((rule) =>
      rule.cidr === undefined ? [] : [{ CidrIp: rule.cidr, ...showDescription(rule) }],
    ),
    Ipv6Ranges: rules.flatMap((rule) =>
      rule.cidr6 === undefined ? [] : [{ CidrIpv6: rule.cidr6, ...showDescription(rule) }],
    ),
    PrefixListIds: rules.flatMap((rule) =>
      rule.prefixList === undefined ? [] : [{ PrefixListId: rule.prefixList, ...showDescription(rule) }],
    ),
  }
}

/** Only these show a range in IpPermissions; SecurityGroupRule shows -1 for all others. */
const hasPorts = (protocol: string | undefined) => ["tcp", "udp", "icmp", "icmpv6"].includes(protocol ?? "")

export function showRule(group: Group, rule: RuleRecord): SecurityGroupRule {
  return {
    ...showTraffic(group, rule),
    GroupOwnerId: group.account,
    ...(rule.group === undefined
      ? {}
      : { ReferencedGroupInfo: { GroupId: rule.group.id, UserId: rule.group.account } }),
    Tags: listTags(rule.tags),
    SecurityGroupRuleArn: `arn:aws:ec2:${group.region}:${group.account}:security-group-rule/${rule.id}`,
  }
}

export function showRevoked(group: Group, rule: RuleRecord): RevokedSecurityGroupRule {
  return {
    ...showTraffic(group, rule),
    ...(rule.group === undefined ? {} : { ReferencedGroupId: rule.group.id }),
  }
}

function showTraffic(group: Group, rule: RuleRecord) {
  return {
    SecurityGroupRuleId: rule.id,
    GroupId: group.id,
    IsEgress: rule.egress,
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort ?? -1,
    ToPort: rule.toPort ?? -1,
    ...(rule.cidr === undefined ? {} : { CidrIpv4: rule.cidr }),
    ...(rule.cidr6 === undefined ? {} : { CidrIpv6: rule.cidr6 }),
    ...(rule.prefixList === undefined ? {} : { PrefixListId: rule.prefixList }),
    ...showDescription(rule),
  }
}

const showDescription = ({ description }: Wish) => (description === undefined ? {} : { Description: description })
