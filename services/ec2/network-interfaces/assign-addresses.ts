/**
 * AssignPrivateIpAddresses, UnassignPrivateIpAddresses: further private addresses of an interface. The host routes and filters them at once;
 * the guest sets them up itself, as on EC2 ("Secondary IP addresses for your EC2 instances").
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { addressKind } from "../addresses/record.ts"
import { forget } from "../addresses/association.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { findInstanceType } from "../instance-types/data.ts"
import { instanceKind } from "../instances/record.ts"
import { isAddress, toNumber } from "../vpcs/addresses.ts"
import { freeAddresses, requireUsable } from "../vpcs/free-addresses.ts"
import { type SubnetRecord, subnetKind } from "../vpcs/record.ts"
import { subnetScope } from "../vpcs/subnet-scope.ts"
import { addressesOf, withSecondary } from "./addresses.ts"
import { changeInterface } from "./change.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind, type SecondaryAddress } from "./record.ts"

type Interface = Resource<NetworkInterfaceRecord>

/** Of the largest types; what an interface without an instance may have. */
const mostAddresses = 50

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

/** PrivateIpAddressLimitExceeded, InsufficientFreeAddressesInSubnet, InvalidParameterValue for addresses that cannot be had. */
const assignPrivateIpAddresses: Handler<"AssignPrivateIpAddresses"> = async (input, call) => {
  const wish = readWish(input)
  const found = await call.require(networkInterfaceKind, input.NetworkInterfaceId, "NetworkInterfaceId")
  call.authorize("ec2:AssignPrivateIpAddresses", found)
  const subnet = await call.require(subnetKind, found.record.subnet)
  // A reservation that is made meanwhile has this drawn anew.
  call.draft.expect(subnet)
  const own = addressesOf(found.record).map(({ address }) => address)
  const wanted = wish.addresses.filter((address) => !own.slice(1).includes(address))
  if (wanted.includes(found.record.address)) throw alreadyAssigned([found.record.address])
  await requireRoom(call, found, own.length + wanted.length + wish.count)
  const drawn = await freeAddresses(call, subnet, wish.count)
  if (drawn.length < wish.count) throw raise("InsufficientFreeAddressesInSubnet", { id: subnet.id })
  const moved = await takeNamed(call, subnet, wanted, input.AllowReassignment === true, found)
  for (const address of [...wanted, ...drawn]) call.draft.claim(subnetScope(subnet.id), toNumber(address), found.id)
  const added = [
    ...wanted.map((address) => moved.get(address) ?? { address }),
    ...drawn.map((address) => ({ address })),
  ]
  const before = found.record.secondaryAddresses ?? []
  if (added.length > 0) await changeInterface(call, found, withSecondary(found.record, [...before, ...added]))
  await call.commit()
  return {
    NetworkInterfaceId: found.id,
    AssignedPrivateIpAddresses: [...wish.addresses, ...drawn].map((PrivateIpAddress) => ({ PrivateIpAddress })),
  }
}

function readWish(input: Input<"AssignPrivateIpAddresses">): { addresses: readonly string[]; count: number } {
  const { PrivateIpAddresses: addresses = [], SecondaryPrivateIpAddressCount: count } = input
  if ((input.Ipv4Prefixes?.length ?? 0) > 0 || input.Ipv4PrefixCount !== undefined)
    throw raise("UnsupportedOperation", { operation: "AssignPrivateIpAddresses with prefixes" })
  if (addresses.length > 0 && count !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "PrivateIpAddresses and SecondaryPrivateIpAddressCount may not be specified on the same request",
    })
  if (addresses.length === 0 && count === undefined)
    throw raise("MissingParameter", { name: "PrivateIpAddresses or SecondaryPrivateIpAddressCount" })
  if (count !== undefined && count < 1)
    throw invalid(`Value (${count}) for parameter secondaryPrivateIpAddressCount is invalid. It has to be at least 1.`)
  return { addresses: readAddresses(addresses), count: count ?? 0 }
}

function readAddresses(addresses: readonly string[]): readonly string[] {
  const bad = addresses.find((address) => !isAddress(address))
  if (bad !== undefined)
    throw invalid(`Value (${bad}) for parameter privateIpAddress is invalid. Not a valid IPv4 address`)
  return [...new Set(addresses)]
}

/** As many as the instance's type has for one interface. */
async function requireRoom(call: Call, { record }: Interface, count: number): Promise<void> {
  const instance = record.attachment && (await call.find(instanceKind, record.attachment.instance))
  const type = instance && findInstanceType(instance.record.type)
  if (count > (type?.NetworkInfo?.Ipv4AddressesPerInterface ?? mostAddresses))
    throw raise("PrivateIpAddressLimitExceeded")
}

/**
 * Addresses that are asked for by name leave whoever has them as a further one, with the Elastic IPs that stand for them, if that is allowed.
 * Gives those that moved.
 */
async function takeNamed(
  call: Call,
  subnet: Resource<SubnetRecord>,
  wanted: readonly string[],
  mayMove: boolean,
  to: Interface,
): Promise<ReadonlyMap<string, SecondaryAddress>> {
  for (const address of wanted) requireUsable(subnet, address)
  const scope = subnetScope(subnet.id)
  const keys = wanted.map((address) => String(toNumber(address)))
  const claims = keys.length === 0 ? [] : await call.store.claims(scope, keys)
  const taken = wanted.filter((address) => claims.some(({ key }) => key === String(toNumber(address))))
  const holders = await call.load(
    networkInterfaceKind,
    claims.map(({ owner }) => owner),
  )
  const moved = new Map<string, SecondaryAddress>()
  for (const holder of holders.values()) {
    const { secondaryAddresses = [] } = holder.record
    const going = secondaryAddresses.filter(({ address }) => taken.includes(address))
    for (const each of going) moved.set(each.address, each)
    if (!mayMove || going.length === 0) continue
    const staying = secondaryAddresses.filter((each) => !going.includes(each))
    await changeInterface(call, holder, withSecondary(holder.record, staying))
  }
  const stuck = mayMove ? taken.filter((address) => !moved.has(address)) : taken
  if (stuck.length > 0) throw alreadyAssigned(stuck)
  for (const { address, publicAddress } of moved.values()) {
    call.draft.release(scope, toNumber(address))
    if (publicAddress?.allocation !== undefined) await follow(call, publicAddress.allocation, to)
  }
  return moved
}

const alreadyAssigned = (addresses: readonly string[]) =>
  invalid(`[${addresses.join(", ")}] have already been assigned to network interfaces, but move is not allowed.`)

/** The Elastic IP goes where its private address goes. */
async function follow(call: Call, allocation: string, to: Interface): Promise<void> {
  const found = await call.find(addressKind, allocation)
  if (found === undefined) return
  const { instance: _, ...record } = found.record
  const { attachment } = to.record
  call.draft.update(addressKind, found, {
    ...record,
    networkInterface: to.id,
    ...(attachment && { instance: attachment.instance }),
  })
}

/** An Elastic IP that stands for one is disassociated. The primary address stays. */
const unassignPrivateIpAddresses: Handler<"UnassignPrivateIpAddresses"> = async (input, call) => {
  if ((input.Ipv4Prefixes?.length ?? 0) > 0)
    throw raise("UnsupportedOperation", { operation: "UnassignPrivateIpAddresses with prefixes" })
  const given = readAddresses(input.PrivateIpAddresses ?? [])
  if (given.length === 0) throw raise("MissingParameter", { name: "PrivateIpAddresses" })
  const found = await call.require(networkInterfaceKind, input.NetworkInterfaceId, "NetworkInterfaceId")
  call.authorize("ec2:UnassignPrivateIpAddresses", found)
  const { secondaryAddresses = [], subnet } = found.record
  const going = secondaryAddresses.filter(({ address }) => given.includes(address))
  if (going.length < given.length)
    throw invalid(`Some of [${given.join(", ")}] are not assigned to interface ${found.id} as secondary addresses`)
  for (const { address, publicAddress } of going) {
    call.draft.release(subnetScope(subnet), toNumber(address))
    if (publicAddress?.allocation !== undefined) await forget(call, publicAddress.allocation)
  }
  const staying = secondaryAddresses.filter((each) => !going.includes(each))
  await changeInterface(call, found, withSecondary(found.record, staying))
  await call.commit()
  return {}
}

export const handlers = {
  AssignPrivateIpAddresses: assignPrivateIpAddresses,
  UnassignPrivateIpAddresses: unassignPrivateIpAddresses,
} satisfies Handlers
