/** Describe, Modify and ResetNetworkInterfaceAttribute: what can be changed of an interface, one attribute a call. */
import type { NetworkInterfaceAttribute } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input, Output } from "../handler.ts"
import { toNetworkInterface } from "./answer.ts"
import { changeInterface, withGroups } from "./change.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "./record.ts"

type Interface = Resource<NetworkInterfaceRecord>
type Shown = Omit<Output<"DescribeNetworkInterfaceAttribute">, "NetworkInterfaceId">
type Modify = Input<"ModifyNetworkInterfaceAttribute">
type Change = (call: Call, found: Interface) => Promise<NetworkInterfaceRecord> | NetworkInterfaceRecord

const shown: Readonly<Record<NetworkInterfaceAttribute, (found: Interface) => Shown>> = {
  attachment: (found) => {
    const { Attachment } = toNetworkInterface(found)
    return Attachment === undefined ? {} : { Attachment }
  },
  description: ({ record }) => ({ Description: { Value: record.description } }),
  groupSet: ({ record }) => ({ Groups: record.groups.map(({ id, name }) => ({ GroupId: id, GroupName: name })) }),
  sourceDestCheck: ({ record }) => ({ SourceDestCheck: { Value: record.sourceDestCheck } }),
  // Interfaces get an address of the pool by their instance's launch.
  associatePublicIpAddress: ({ record }) => ({ AssociatePublicIpAddress: record.autoPublic }),
}

const describeAttribute: Handler<"DescribeNetworkInterfaceAttribute"> = async (input, call) => {
  const { Attribute: name } = input
  if (name === undefined) throw raise("MissingParameter", { name: "Attribute" })
  if (!Object.hasOwn(shown, name))
    throw raise("InvalidParameterValue", {
      detail: `Value (${name}) for parameter attribute is invalid. Unknown attribute.`,
    })
  const found = await call.require(networkInterfaceKind, input.NetworkInterfaceId, "NetworkInterfaceId")
  return { NetworkInterfaceId: found.id, ...shown[name](found) }
}

const notDone = [
  "AssociatePublicIpAddress",
  "AssociatedSubnetIds",
  "ConnectionTrackingSpecification",
  "EnablePrimaryIpv6",
  "EnaSrdSpecification",
] as const

const descriptionLength = 255

/** InvalidNetworkInterfaceID.NotFound, InvalidParameterCombination, InvalidAttachmentID.NotFound, InvalidGroup.NotFound. */
const modifyAttribute: Handler<"ModifyNetworkInterfaceAttribute"> = async (input, call) => {
  const [change, ...others] = readChanges(input)
  if (change === undefined) throw raise("InvalidParameterCombination", { detail: "No attributes specified." })
  if (others.length > 0)
    throw raise("InvalidParameterCombination", { detail: "Fields for multiple attribute types specified" })
  const found = await requireInterface(call, "ec2:ModifyNetworkInterfaceAttribute", input.NetworkInterfaceId)
  await changeInterface(call, found, await change(call, found))
  await call.commit()
  return {}
}

function readChanges(input: Modify): readonly Change[] {
  for (const name of notDone) {
    const value: unknown = input[name]
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue
    throw raise("UnsupportedOperation", { operation: `ModifyNetworkInterfaceAttribute with ${name}` })
  }
  const changes: Change[] = []
  const { Description: { Value: description } = {}, Groups: groups = [], Attachment: attachment } = input
  const sourceDestCheck = input.SourceDestCheck?.Value
  if (description !== undefined) {
    if (description.length > descriptionLength)
      throw raise("InvalidParameterValue", {
        detail: `The description is longer than ${descriptionLength} characters.`,
      })
    changes.push((_, { record }) => ({ ...record, description }))
  }
  if (groups.length > 0) changes.push((call, found) => withGroups(call, found, groups))
  if (sourceDestCheck !== undefined) changes.push((_, { record }) => ({ ...record, sourceDestCheck }))
  if (attachment !== undefined) changes.push((_, found) => withAttachment(found, attachment))
  return changes
}

function withAttachment({ record }: Interface, wanted: NonNullable<Modify["Attachment"]>): NetworkInterfaceRecord {
  const { AttachmentId: id, DeleteOnTermination: deleteOnTermination } = wanted
  for (const name of ["DefaultEnaQueueCount", "EnaQueueCount"] as const)
    if (wanted[name] !== undefined)
      throw raise("UnsupportedOperation", { operation: `ModifyNetworkInterfaceAttribute with Attachment.${name}` })
  if (id === undefined) throw raise("MissingParameter", { name: "Attachment.AttachmentId" })
  if (deleteOnTermination === undefined) throw raise("MissingParameter", { name: "Attachment.DeleteOnTermination" })
  if (record.attachment?.id !== id) throw raise("InvalidAttachmentID.NotFound", { id })
  return { ...record, attachment: { ...record.attachment, deleteOnTermination } }
}

/** SourceDestCheck, the one attribute that can be reset, goes back to true. */
const resetAttribute: Handler<"ResetNetworkInterfaceAttribute"> = async (input, call) => {
  if (input.SourceDestCheck === undefined) throw raise("MissingParameter", { name: "SourceDestCheck" })
  const found = await requireInterface(call, "ec2:ResetNetworkInterfaceAttribute", input.NetworkInterfaceId)
  await changeInterface(call, found, { ...found.record, sourceDestCheck: true })
  await call.commit()
  return {}
}

async function requireInterface(call: Call, action: string, id: string | undefined): Promise<Interface> {
  const found = await call.require(networkInterfaceKind, id, "NetworkInterfaceId")
  call.authorize(action, found)
  return found
}

export const handlers = {
  DescribeNetworkInterfaceAttribute: pure(describeAttribute),
  ModifyNetworkInterfaceAttribute: modifyAttribute,
  ResetNetworkInterfaceAttribute: resetAttribute,
} satisfies Handlers
