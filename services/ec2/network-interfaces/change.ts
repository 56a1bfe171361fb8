/** A changed interface with all that follows from it: what its instance shows of it, and what the host has to do. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { assignGuest, ownInterfaces } from "../instances/assignment.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { raise } from "../errors.ts"
import { requireFewGroups } from "../security-groups/quotas.ts"
import { securityGroupKind } from "../security-groups/record.ts"
import { publicNameOf } from "./names.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "./record.ts"

type Interface = Resource<NetworkInterfaceRecord>

/** In the draft. An instance shows groups, source check and public address of its primary interface; one that ends has no wish any more. */
export async function changeInterface(call: Call, before: Interface, record: NetworkInterfaceRecord): Promise<void> {
  const changed = call.draft.update(networkInterfaceKind, before, record)
  const instance = record.attachment && (await call.find(instanceKind, record.attachment.instance))
  if (instance === undefined || instance.record.state === "shutting-down" || instance.record.state === "terminated")
    return
  const shown =
    instance.record.networkInterfaces[0] === changed.id
      ? call.draft.update(instanceKind, instance, showing(call, instance.record, record))
      : instance
  const interfaces = await call.load(networkInterfaceKind, instance.record.networkInterfaces)
  assignGuest(call, shown, ownInterfaces(shown, new Map(interfaces).set(changed.id, changed)))
}

function showing(call: Call, instance: InstanceRecord, primary: NetworkInterfaceRecord): InstanceRecord {
  const { publicAddress: _address, publicDnsName: _name, ...rest } = instance
  const address = primary.publicAddress?.address
  const name = publicNameOf(address, primary.vpcNames, call.region)
  return {
    ...rest,
    groups: primary.groups,
    attributes: { ...rest.attributes, sourceDestCheck: primary.sourceDestCheck },
    ...(address === undefined ? {} : { publicAddress: address }),
    ...(name === undefined ? {} : { publicDnsName: name }),
  }
}

/** The record with other groups of its VPC; references in the draft. InvalidGroup.NotFound. */
export async function withGroups(
  call: Call,
  found: Interface,
  ids: readonly string[],
): Promise<NetworkInterfaceRecord> {
  const groups = await call.requireMany(securityGroupKind, [...new Set(ids)])
  requireFewGroups(groups)
  for (const group of groups)
    if (group.record.vpc !== found.record.vpc)
      throw raise("InvalidGroup.NotFound", { name: group.id, where: ` in VPC '${found.record.vpc}'` })
  for (const old of found.record.groups) call.draft.unlink(found.id, old.id, "blocks")
  for (const group of groups) {
    call.draft.link(found.id, group.id, "blocks")
    call.draft.expect(group)
  }
  return { ...found.record, groups: groups.map((group) => ({ id: group.id, name: group.record.name })) }
}
