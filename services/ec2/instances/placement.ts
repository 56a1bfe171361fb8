/**
 * ModifyInstancePlacement. There are no Dedicated Hosts and no placement groups here, so that each part of the request is either what an
 * instance has anyway, or refused as EC2 refuses it: a tenancy cannot leave "default", and names and ids are of nothing.
 */
import { isId } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { requireStopped } from "./attributes/modify.ts"
import { instanceKind } from "./record.ts"

export const modifyInstancePlacement: Handler<"ModifyInstancePlacement"> = async (input, call) => {
  requireSomething(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstancePlacement", instance)
  requireStopped(instance)
  refuseWhatIsNot(input)
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
  const group = input.GroupName || input.GroupId
  if (group !== undefined && group !== "") throw raise("InvalidPlacementGroup.Unknown", { name: group })
  if (input.PartitionNumber !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "A partition number is for instances in a partition placement group.",
    })
}

function requireOneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw raise("InvalidParameterValue", {
      detail: `Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`,
    })
}
