/** What a host has to know of a security group: the filter that its members get. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Group, GroupAssignment } from "#host/protocol/types.ts"
import type { PrefixLists } from "../prefix-lists/record.ts"
import type { RuleRecord, SecurityGroupRecord } from "./record.ts"

type Rule = Group["ingress"][number]

/**
 * Puts the group's filter into the draft, as the host's wish. Call it in the commit that changes the group, with the prefix lists that its
 * rules name.
 */
export function assignGroup(call: Call, group: Resource<SecurityGroupRecord>, lists: PrefixLists = new Map()): void {
  call.draft.assign(localHost, group.id, groupAssignment(group, lists))
}

function groupAssignment({ id, record }: Resource<SecurityGroupRecord>, lists: PrefixLists): GroupAssignment {
  const side = (egress: boolean) =>
    record.rules.filter((rule) => rule.egress === egress).map((rule) => toRule(rule, lists))
  return { kind: "group", network: record.vpc, group: { id, ingress: side(false), egress: side(true) } }
}

/** A prefix list without entries lets nothing pass. */
function toRule(rule: RuleRecord, lists: PrefixLists): Rule {
  const list = rule.prefixList === undefined ? undefined : lists.get(rule.prefixList)?.record
  const entries = (family: "IPv4" | "IPv6") => (list?.family === family ? list.entries.map(({ cidr }) => cidr) : [])
  return {
    protocol: rule.protocol,
    ...(rule.fromPort === undefined ? {} : { fromPort: rule.fromPort }),
    ...(rule.toPort === undefined ? {} : { toPort: rule.toPort }),
    cidrs: rule.cidr === undefined ? entries("IPv4") : [rule.cidr],
    cidrs6: rule.cidr6 === undefined ? entries("IPv6") : [rule.cidr6],
    groups: rule.group === undefined ? [] : [rule.group.id],
  }
}
