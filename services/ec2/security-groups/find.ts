/** Finding a group by what a request names it with. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { Fault } from "#lib/fault.ts"
import { raise } from "../errors.ts"
import { defaultVpcOf } from "../vpcs/default.ts"
import { groupNameScope } from "./default.ts"
import { type SecurityGroupRecord, securityGroupKind } from "./record.ts"

interface Named {
  readonly GroupId?: string | undefined
  readonly GroupName?: string | undefined
}

/**
 * The group a request means: by id, or by name in the default VPC. Throws MissingParameter, InvalidParameterCombination,
 * InvalidGroupId.Malformed, InvalidGroup.NotFound.
 */
export async function requireGroup(
  call: Call,
  { GroupId: id, GroupName: name }: Named,
): Promise<Resource<SecurityGroupRecord>> {
  if (id !== undefined && name !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter groupName cannot be used with the parameter groupId",
    })
  if (id !== undefined) return call.require(securityGroupKind, id)
  if (name === undefined) throw raise("MissingParameter", { name: "groupId or groupName" })
  const [found] = await idsOfNames(call, [name])
  return call.require(securityGroupKind, found, "groupId")
}

/** Ids of groups of the default VPC. Throws InvalidGroup.NotFound, VPCIdNotSpecified where there is no default VPC. */
export async function idsOfNames(call: Call, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return []
  const vpc = await defaultVpcOf(call)
  if (vpc === undefined) throw raise("VPCIdNotSpecified")
  const claims = await call.store.claims(groupNameScope(vpc.id), names)
  const owners = new Map(claims.map((claim) => [claim.key, claim.owner]))
  return names.map((name) => {
    const id = owners.get(name)
    if (id === undefined) throw raise("InvalidGroup.NotFound", { name, where: ` in default VPC '${vpc.id}'` })
    return id
  })
}

/**
 * The group that a rule of `group` names by its name, in the same VPC, or InvalidGroup.NotFound. That it is still there when the rule
 * is committed is seen to by the reference: the store refuses one to something that is gone.
 */
export async function requireNamed(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  name: string,
): Promise<Resource<SecurityGroupRecord>> {
  const { vpc } = group.record
  const [claim] = await call.store.claims(groupNameScope(vpc), [name])
  const found = claim === undefined ? undefined : await call.find(securityGroupKind, claim.owner)
  if (found === undefined) throw raise("InvalidGroup.NotFound", { name, where: ` in VPC '${vpc}'` })
  return found
}

/** The group that a rule of `group` names by its id. In another VPC it is an InvalidGroup.NotFound. */
export async function requireInSameNetwork(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  id: string,
): Promise<Resource<SecurityGroupRecord>> {
  if (id === group.id) return group
  const other = await call.require(securityGroupKind, id)
  if (other.record.vpc !== group.record.vpc)
    throw new Fault("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
  return other
}
