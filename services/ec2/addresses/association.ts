/**
 * AssociateAddress, DisassociateAddress: an Elastic IP is the public address of one network interface, stopped or not. The interface holds it
 * (its host routes by that), the instance shows it, the address says where it is. An address that came with the launch goes back to the pool for it.
 */
import type { Call } from "#cloud/call.ts"
import { newId, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { notInState } from "../instances/lifecycle.ts"
import { instanceKind } from "../instances/record.ts"
import { changeInterface } from "../network-interfaces/change.ts"
import { addressesOf, withPublicAddress } from "../network-interfaces/addresses.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind, type PublicAddress } from "../network-interfaces/record.ts"
import { toNumber } from "../vpcs/addresses.ts"
import { internetGatewayKind } from "../vpcs/record.ts"
import { requireAddress } from "./find.ts"
import { freePublicAddresses, publicAddressScope } from "./pool.ts"
import { type AddressRecord, addressKind } from "./record.ts"

type Interface = Resource<NetworkInterfaceRecord>

/**
 * An association that is there already is answered again. An address or an interface that has another one is moved, unless
 * AllowReassociation is false: Resource.AlreadyAssociated.
 */
export const associateAddress: Handler<"AssociateAddress"> = async (input, call) => {
  const address = await requireAddress(call, input.AllocationId, input.PublicIp)
  const { target, at } = await findTarget(call, input)
  call.authorize("ec2:AssociateAddress", address, target)
  const { networkInterface: before, association: earlier, privateAddress: from } = address.record
  if (before === target.id && from === at && earlier !== undefined) {
    await call.commit()
    return { AssociationId: earlier }
  }
  const held = heldAt(target, at)
  if (input.AllowReassociation === false) refuseToMove(address, target, at)
  if (before !== undefined && before !== target.id) await releaseFrom(call, address)
  if (held?.allocation !== undefined) await forget(call, held.allocation)
  const association = newId("eipassoc")
  call.draft.update(addressKind, address, {
    address: address.record.address,
    tags: address.record.tags,
    association,
    networkInterface: target.id,
    privateAddress: at,
    ...(target.record.attachment && { instance: target.record.attachment.instance }),
  })
  const leaving = before === target.id ? withPublicAddress(target.record, from ?? "", undefined) : target.record
  await hold(call, target, leaving, at, { address: address.record.address, allocation: address.id, association })
  await call.commit()
  return { AssociationId: association }
}

const heldAt = ({ record }: Interface, at: string) =>
  addressesOf(record).find(({ address }) => address === at)?.publicAddress

function refuseToMove({ id, record }: Resource<AddressRecord>, target: Interface, at: string): void {
  if (record.association !== undefined)
    throw raise("Resource.AlreadyAssociated", {
      detail: `resource ${id} is already associated with associate-id ${record.association}`,
    })
  const held = heldAt(target, at)
  if (held?.allocation !== undefined)
    throw raise("Resource.AlreadyAssociated", {
      detail: `resource ${target.id} and ${at} is already associated with public address ${held.address}`,
    })
}

/** One that is not associated stays so, where it is named by itself. InvalidAssociationID.NotFound. */
export const disassociateAddress: Handler<"DisassociateAddress"> = async (input, call) => {
  const address = await findAssociated(call, input)
  call.authorize("ec2:DisassociateAddress", address)
  if (address.record.networkInterface !== undefined) {
    draftFree(call, address)
    await releaseFrom(call, address)
  }
  await call.commit()
  return {}
}

async function findAssociated(
  call: Call,
  { AssociationId: id, PublicIp: ip }: Input<"DisassociateAddress">,
): Promise<Resource<AddressRecord>> {
  if (id !== undefined && ip !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "You may specify public IP or association id, but not both in the same call",
    })
  if (id === undefined && ip === undefined) throw raise("MissingParameter", { name: "AssociationId" })
  if (id === undefined) return requireAddress(call, undefined, ip)
  const [found] = await call.list(addressKind, "association-id", id)
  if (found === undefined) throw raise("InvalidAssociationID.NotFound", { id })
  return found
}

/**
 * The primary interface of an instance that runs or is stopped, or an interface. The API reference takes either of them; Terraform's provider
 * sends, when an address moves, the new instance and the interface of the one before, and EC2 goes by the instance.
 */
async function findTarget(
  call: Call,
  input: Input<"AssociateAddress">,
): Promise<{ readonly target: Interface; readonly at: string }> {
  const { InstanceId, NetworkInterfaceId, PrivateIpAddress: address } = input
  const target =
    NetworkInterfaceId === undefined || InstanceId !== undefined
      ? await primaryOf(call, InstanceId)
      : await call.require(networkInterfaceKind, NetworkInterfaceId)
  const at = address ?? target.record.address
  if (!addressesOf(target.record).some((each) => each.address === at))
    throw raise("InvalidParameterValue", {
      detail: `The private IP address ${at} is not assigned to the network interface '${target.id}'.`,
    })
  const gateways = await call.list(internetGatewayKind, "attachment.vpc-id", target.record.vpc)
  if (gateways.length === 0) throw raise("Gateway.NotAttached", { vpc: target.record.vpc })
  return { target, at }
}

async function primaryOf(call: Call, id: string | undefined): Promise<Interface> {
  const instance = await call.require(instanceKind, id, "InstanceId or NetworkInterfaceId")
  const { state, networkInterfaces } = instance.record
  if (state === "pending")
    throw raise("InvalidInstanceID", {
      detail: `The pending instance '${instance.id}' is not in a valid state for this operation.`,
    })
  if (state === "shutting-down" || state === "terminated") throw notInState(instance.id, "associated")
  return call.require(networkInterfaceKind, networkInterfaces[0])
}

/**
 * Takes an Elastic IP off the interface that has it. One whose instance runs and was launched with a public address gets one of the pool again
 * for its primary address.
 */
export async function releaseFrom(call: Call, { id, record }: Resource<AddressRecord>): Promise<void> {
  const { networkInterface, privateAddress: at } = record
  const found = networkInterface === undefined ? undefined : await call.find(networkInterfaceKind, networkInterface)
  if (found === undefined || at === undefined || heldAt(found, at)?.allocation !== id) return
  if (at !== found.record.address) return hold(call, found, found.record, at, undefined)
  const instance = found.record.attachment && (await call.find(instanceKind, found.record.attachment.instance))
  const runs = instance?.record.state === "running" || instance?.record.state === "pending"
  const [address] = found.record.autoPublic && runs ? await freePublicAddresses(call, 1, 0) : []
  if (address !== undefined) call.draft.claim(publicAddressScope, toNumber(address), found.id)
  await hold(call, found, found.record, at, address === undefined ? undefined : { address })
}

/** The address of an allocation is nowhere any more. */
export async function forget(call: Call, allocation: string): Promise<void> {
  const address = await call.find(addressKind, allocation)
  if (address !== undefined) draftFree(call, address)
}

/** The same of one whose interface outlives its instance, and keeps it. */
export async function leaveInstance(call: Call, allocation: string): Promise<void> {
  const address = await call.find(addressKind, allocation)
  if (address === undefined) return
  const { instance: _, ...record } = address.record
  call.draft.update(addressKind, address, record)
}

function draftFree(call: Call, address: Resource<AddressRecord>): void {
  call.draft.update(addressKind, address, { address: address.record.address, tags: address.record.tags })
}

/**
 * The interface as `record` with this public address, or none, at one of its private addresses; its instance and what the host has to do, in
 * the draft.
 */
async function hold(
  call: Call,
  networkInterface: Interface,
  record: NetworkInterfaceRecord,
  at: string,
  held: PublicAddress | undefined,
): Promise<void> {
  const before = heldAt(networkInterface, at)
  if (before !== undefined && before.allocation === undefined)
    call.draft.release(publicAddressScope, toNumber(before.address))
  await changeInterface(call, networkInterface, withPublicAddress(record, at, held))
}
