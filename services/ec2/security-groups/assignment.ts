/** What a host has to know of a security group: the filter that its members get. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Group, GroupAssignment } from "#host/protocol/types.ts"
import type { RuleRecord, SecurityGroupRecord } from "./record.ts"

type Rule = Group["ingress"][number]

/** Puts the group's filter into the draft, as the host's wish. Call it in the commit that changes the group. */
export function assignGroup(call: Call, group: Resource<SecurityGroupRecord>): void {
  call.draft.assign(localHost, group.id, groupAssignment(group))
}

export function groupAssignment({ id, record }: Resource<SecurityGroupRecord>): GroupAssignment {
  const side = (egress: boolean) => record.rules.filter((rule) => rule.egress === egress).map(toRule)
  return { kind: "group", network: record.vpc, group: { id, ingress: side(false), egress: side(true) } }
}

function toRule(rule: RuleRecord): Rule {
  return {
    protocol: rule.protocol,
    ...(rule.fromPort === undefined ? {} : { fromPort: rule.fromPort }),
    ...(rule.toPort === undefined ? {} : { toPort: rule.toPort }),
    cidrs: rule.cidr === undefined ? [] : [rule.cidr],
    cidrs6: rule.cidr6 === undefined ? [] : [rule.cidr6],
    groups: rule.group === undefined ? [] : [rule.group.id],
  }
}
