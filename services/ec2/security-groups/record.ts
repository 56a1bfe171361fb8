/** Security groups as they are stored, their rules inside them. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface SecurityGroupRecord extends Tagged {
  readonly name: string
  readonly description: string
  readonly vpc: string
  readonly rules: readonly RuleRecord[]
}

export type RuleProtocol = "tcp" | "udp" | "icmp" | "icmpv6" | "-1" | `${number}`

/** One rule: one direction, one protocol and port range, exactly one other side. It is kept inside its group's record. */
export interface RuleRecord {
  /** "sgr-…" */
  readonly id: string
  readonly egress: boolean
  /** A name, a number that has none of these names, or "-1" for all. */
  readonly protocol: RuleProtocol
  /** -1 or absent: all ports (or all icmp types). */
  readonly fromPort?: number
  readonly toPort?: number
  readonly cidr?: string
  readonly cidr6?: string
  readonly prefixList?: string
  readonly group?: { readonly id: string; readonly account: string; readonly name: string }
  readonly description?: string
  readonly tags: readonly { readonly key: string; readonly value: string }[]
}

export const securityGroupKind = defineKind<SecurityGroupRecord>({
  name: "security-group",
  prefix: "sg",
  schema: 1,
  notFound: ["InvalidGroup.NotFound", "The security group '{id}' does not exist"],
  malformed: ["InvalidGroupId.Malformed", 'Invalid id: "{id}"'],
  parts: (record) => record.rules.map((rule) => ({ id: rule.id, kind: "security-group-rule", tags: rule.tags })),
  facets: ({ id, account, record }) => ({
    "group-id": id,
    "group-name": record.name,
    description: record.description,
    "owner-id": account,
    "vpc-id": record.vpc,
    ...ruleFacets(
      "ip-permission",
      record.rules.filter((rule) => !rule.egress),
    ),
    ...ruleFacets(
      "egress.ip-permission",
      record.rules.filter((rule) => rule.egress),
    ),
    // For DescribeSecurityGroupRules and for finding the group of a rule.
    "security-group-rule-id": record.rules.map((rule) => rule.id),
  }),
})

function ruleFacets(prefix: string, rules: readonly RuleRecord[]) {
  return {
    [`${prefix}.cidr`]: rules.map((rule) => rule.cidr),
    [`${prefix}.ipv6-cidr`]: rules.map((rule) => rule.cidr6),
    [`${prefix}.from-port`]: rules.map((rule) => rule.fromPort?.toString()),
    [`${prefix}.to-port`]: rules.map((rule) => rule.toPort?.toString()),
    [`${prefix}.group-id`]: rules.map((rule) => rule.group?.id),
    [`${prefix}.group-name`]: rules.map((rule) => rule.group?.name),
    [`${prefix}.protocol`]: rules.map((rule) => rule.protocol),
    [`${prefix}.user-id`]: rules.map((rule) => rule.group?.account),
    [`${prefix}.prefix-list-id`]: rules.map((rule) => rule.prefixList),
  }
}
