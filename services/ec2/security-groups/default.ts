/** The group that every VPC has from the start. */
import type { Call } from "#cloud/call.ts"
import { newId, type Resource } from "#cloud/resources/kind.ts"
import { assignGroup } from "./assignment.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"

/** Its name; no other group may have it, and it cannot be deleted but with its VPC. */
export const defaultGroupName = "default"

/** Scope of the claim that keeps names of groups unique in a VPC. */
export const groupNameScope = (vpc: string) => `security-group-name:${vpc}`

/** What every new group has: everything may leave. */
export function allowAllEgress(): RuleRecord {
  return { id: newId("sgr"), egress: true, protocol: "-1", fromPort: -1, toPort: -1, cidr: "0.0.0.0/0", tags: [] }
}

/**
 * Puts a VPC's default group into the draft: all from its own members in, all out. It is `owned` by the VPC, so it goes with it;
 * who deletes the VPC takes back the group's assignment.
 */
export function createDefaultGroup(call: Call, vpcId: string): Resource<SecurityGroupRecord> {
  const id = newId(securityGroupKind.prefix)
  const fromItself: RuleRecord = {
    id: newId("sgr"),
    egress: false,
    protocol: "-1",
    fromPort: -1,
    toPort: -1,
    group: { id, account: call.account, name: defaultGroupName },
    tags: [],
  }
  const group = call.draft.create(
    securityGroupKind,
    {
      name: defaultGroupName,
      description: "default VPC security group",
      vpc: vpcId,
      rules: [fromItself, allowAllEgress()],
      tags: [],
    },
    id,
  )
  call.draft.claim(groupNameScope(vpcId), defaultGroupName, id)
  call.draft.link(id, vpcId, "owned")
  assignGroup(call, group)
  return group
}
