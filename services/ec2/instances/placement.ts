/**
 * ModifyInstancePlacement: into a placement group, another partition, or out of it (an empty name); for an instance with a tenancy of "host" to
 * another Dedicated Host, or bound to its own. A tenancy cannot leave "default", nor become it.
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { dedicatedHostKind } from "../dedicated-hosts/record.ts"
import { requireHost } from "../dedicated-hosts/room.ts"
import { requireOneOf } from "../dedicated-hosts/wish.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { requireStopped } from "./attributes/modify.ts"
import {
  type GroupWish,
  findPlaces,
  joinStopped,
  readGroupWish,
  requirePlacementGroup,
} from "../placement-groups/members.ts"
import { reassignGuest } from "./assignment.ts"
import { instanceKind, type InstanceRecord, type Placement, tenancyOf } from "./record.ts"

export const modifyInstancePlacement: Handler<"ModifyInstancePlacement"> = async (input, call) => {
  requireSomething(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstancePlacement", instance)
  requireStopped(instance)
  if (input.HostId !== undefined && input.HostId !== "") await call.require(dedicatedHostKind, input.HostId)
  refuseWhatIsNot(instance, input)
  await moveToHost(call, instance, input)
  await move(call, instance, input)
  await call.commit()
  return { Return: true }
}

function requireSomething(input: Input<"ModifyInstancePlacement">): void {
  const { Affinity, GroupId, GroupName, HostId, HostResourceGroupArn, PartitionNumber, Tenancy } = input
  const given = [Affinity, GroupId, GroupName, HostId, HostResourceGroupArn, PartitionNumber, Tenancy]
  if (given.every((value) => value === undefined))
    throw raise("MissingParameter", { name: "Affinity, GroupName, HostId or Tenancy" })
  requireOneOf("Tenancy", Tenancy, ["default", "dedicated", "host"])
  requireOneOf("Affinity", Affinity, ["default", "host"])
}

function refuseWhatIsNot({ record }: Resource<InstanceRecord>, input: Input<"ModifyInstancePlacement">): void {
  const { Tenancy, HostId, Affinity, HostResourceGroupArn } = input
  const tenancy = tenancyOf(record)
  if (Tenancy !== undefined && Tenancy !== tenancy)
    throw raise("InvalidRequest", {
      detail: `The tenancy of an instance cannot be changed from '${tenancy}' to '${Tenancy}'.`,
    })
  const ofHosts = (HostId ?? "") !== "" || Affinity === "host"
  if ((ofHosts && tenancy !== "host") || (HostResourceGroupArn ?? "") !== "")
    throw raise("InvalidParameterCombination", {
      detail: "Affinity, hosts and host resource groups are for instances with a tenancy of 'host'.",
    })
  if (tenancy === "host" && (input.GroupName || input.GroupId))
    throw raise("InvalidParameterCombination", {
      detail: "A placement group cannot be used with a tenancy of 'host' here.",
    })
}

/** Takes room on the host at the next start. */
async function moveToHost(
  call: Call,
  instance: Resource<InstanceRecord>,
  { HostId: id, Affinity: affinity }: Input<"ModifyInstancePlacement">,
): Promise<void> {
  const { host } = instance.record
  if (host === undefined) return
  if (id !== undefined && id !== "") await requireHost(call, { id, affinity: "host" }, instance.record)
  const changed = { id: id || host.id, affinity: affinity ?? host.affinity }
  call.draft.update(instanceKind, instance, { ...instance.record, host: changed })
}

/** A place that is the instance's own already is no change. */
async function move(
  call: Call,
  instance: Resource<InstanceRecord>,
  input: Input<"ModifyInstancePlacement">,
): Promise<void> {
  const { GroupName: name, GroupId: id, PartitionNumber: partition } = input
  const wish = readGroupWish(name, id, partition)
  if (wish === undefined && name === undefined && id === undefined) return
  const { placement: before, ...record } = instance.record
  const after = wish === undefined ? undefined : await findPlace(call, instance, wish)
  if (JSON.stringify(before) === JSON.stringify(after)) return
  const changed = call.draft.update(instanceKind, instance, { ...record, ...(after && { placement: after }) })
  await reassignGuest(call, changed)
}

/** A partition number alone is of the group that the instance is in. */
async function findPlace(
  call: Call,
  instance: Resource<InstanceRecord>,
  wish: GroupWish,
): Promise<Placement | undefined> {
  const { type, zone, placement } = instance.record
  const named = wish.name !== undefined || wish.id !== undefined
  const group = await requirePlacementGroup(call, named || placement === undefined ? wish : { id: placement.group })
  if (placement?.group === group.id && wish.partition === undefined) return placement
  const [place] =
    group.record.strategy === "spread" && wish.partition === undefined
      ? // A stopped instance takes room when it starts.
        [joinStopped(call, group, type)]
      : await findPlaces(call, group, { type, zone, partition: wish.partition }, { min: 1, max: 1 }, instance.id)
  return place
}
