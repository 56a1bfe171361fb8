/** Security groups themselves: create, describe, delete. */
import { localHost } from "#cloud/hosts/local.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { defaultVpcOf } from "../vpcs/default.ts"
import { vpcKind } from "../vpcs/record.ts"
import { groupArn, showGroup } from "./answer.ts"
import { assignGroup } from "./assignment.ts"
import { allowAllEgress, defaultGroupName, groupNameScope } from "./default.ts"
import { idsOfNames, requireGroup } from "./find.ts"
import { countGroup, requireRoomForGroup } from "./quotas.ts"
import { securityGroupKind } from "./record.ts"

/** CreateSecurityGroup, in the default VPC if none is named. VPCIdNotSpecified, InvalidGroup.Duplicate, InvalidParameterValue. */
export const createSecurityGroup: Handler<"CreateSecurityGroup"> = async (input, call) => {
  const name = readText("GroupName", "name", input.GroupName).trimEnd()
  refuseReserved(name)
  const description = readText("GroupDescription", "description", input.Description)
  const tags = tagsFor(input.TagSpecifications, "security-group")
  const vpc = input.VpcId === undefined ? await defaultVpcOf(call) : await call.require(vpcKind, input.VpcId)
  if (vpc === undefined) throw raise("VPCIdNotSpecified")
  if ((await call.store.claims(groupNameScope(vpc.id), [name])).length > 0)
    throw raise("InvalidGroup.Duplicate", { name, vpc: vpc.id })
  await requireRoomForGroup(call)
  const group = call.draft.create(securityGroupKind, {
    name,
    description,
    vpc: vpc.id,
    rules: [allowAllEgress()],
    tags,
  })
  call.draft.claim(groupNameScope(vpc.id), name, group.id)
  countGroup(call, group.id)
  call.draft.link(group.id, vpc.id, "blocks")
  assignGroup(call, group)
  await call.commit()
  return { GroupId: group.id, Tags: toTags(tags), SecurityGroupArn: groupArn(group) }
}

/** Names and descriptions: 1 to 255 characters of the set that CreateSecurityGroup lists for a VPC. */
function readText(parameter: string, what: string, text: string | undefined): string {
  if (text === undefined || text.trim() === "") throw raise("MissingParameter", { name: parameter })
  if (/\P{ASCII}/u.test(text))
    throw invalid(
      `Value (${text}) for parameter ${parameter} is invalid. Character sets beyond ASCII are not supported.`,
    )
  if (text.length > 255 || !/^[\w. \-:/()#,@[\]+=&;{}!$*]+$/.test(text))
    throw invalid(
      `Invalid security group ${what}. Valid ${what}s are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*`,
    )
  return text
}

function refuseReserved(name: string): void {
  if (name.toLowerCase() === defaultGroupName) throw invalid(`Cannot use reserved security group name: ${name}`)
  if (name.toLowerCase().startsWith("sg-"))
    throw invalid(`Value (${name}) for parameter GroupName is invalid. Group names may not be in the format sg-*`)
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

const ruleFilterNames = ["cidr", "from-port", "group-id", "group-name", "ipv6-cidr", "prefix-list-id", "protocol"]
  .concat("to-port", "user-id")
  .flatMap((name) => [`ip-permission.${name}`, `egress.ip-permission.${name}`])
const filterNames = ["description", "group-id", "group-name", "owner-id", "vpc-id", ...ruleFilterNames]

/** DescribeSecurityGroups. GroupNames are looked for in the default VPC. InvalidGroup.NotFound, InvalidGroupId.Malformed. */
export const describeSecurityGroups: Handler<"DescribeSecurityGroups"> = async (input, call) => {
  const named = await idsOfNames(call, input.GroupNames ?? [])
  const page = await call.describe({
    kind: securityGroupKind,
    ids: [...(input.GroupIds ?? []), ...named],
    filterNames,
    ...asked(input),
  })
  return { SecurityGroups: page.items.map(showGroup), ...nextToken(page) }
}

/** DeleteSecurityGroup. CannotDelete for a default group; DependencyViolation while an interface or another group uses it. */
export const deleteSecurityGroup: Handler<"DeleteSecurityGroup"> = async (input, call) => {
  const group = await requireGroup(call, input)
  call.authorize("ec2:DeleteSecurityGroup", group)
  if (group.record.name === defaultGroupName) throw raise("CannotDelete", { id: group.id })
  call.draft.remove(group)
  call.draft.unassign(localHost, group.id)
  await call.commit()
  return { Return: true, GroupId: group.id }
}
