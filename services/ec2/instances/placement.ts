/**
 * ModifyInstancePlacement: into a placement group, another partition, or out of it (an empty name). There are no Dedicated Hosts here, so that
 * what the request says of them is either what an instance has anyway, or refused as EC2 refuses it: a tenancy cannot leave "default".
 */
import type { Call } from "#cloud/call.ts"
import { isId, type Resource } from "#cloud/resources/kind.ts"
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
import { instanceKind, type InstanceRecord, type Placement } from "./record.ts"

export const modifyInstancePlacement: Handler<"ModifyInstancePlacement"> = async (input, call) => {
  requireSomething(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstancePlacement", instance)
  requireStopped(instance)
  refuseWhatIsNot(input)
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

function refuseWhatIsNot(input: Input<"ModifyInstancePlacement">): void {
  if (input.HostId !== undefined && input.HostId !== "")
    throw raise(isId("h", input.HostId) ? "InvalidHostID.NotFound" : "InvalidHostID.Malformed", { id: input.HostId })
  if (input.Tenancy === "dedicated" || input.Tenancy === "host")
    throw raise("InvalidRequest", {
      detail: `The tenancy of an instance cannot be changed from 'default' to '${input.Tenancy}'.`,
    })
  if (input.Affinity === "host" || (input.HostResourceGroupArn ?? "") !== "")
    throw raise("InvalidParameterCombination", {
      detail: "Affinity and host resource groups are for instances with a tenancy of 'host'.",
    })
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

function requireOneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw raise("InvalidParameterValue", {
      detail: `Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`,
    })
}
