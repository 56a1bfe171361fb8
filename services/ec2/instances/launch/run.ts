/**
 * RunInstances. One commit makes instances, interfaces and volumes with their addresses and tells the host; the answer says "pending".
 * The host's observations carry them on (observe.ts).
 */
import { newId, type Tag } from "#cloud/resources/kind.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { findSomeNumbers } from "#cloud/resources/numbers.ts"
import type { Call } from "#cloud/call.ts"
import { readSettings, type SettingsRecord } from "../../account/settings.ts"
import { createUsher, type Seat, type Sitter } from "../../capacity-reservations/seats.ts"
import { mayRunAnywhere, noSeat, requireTarget } from "../../capacity-reservations/wish.ts"
import { createPlacer, type Guest, noRoomOnHost, requireHost } from "../../dedicated-hosts/room.ts"
import type { HostWish } from "../../dedicated-hosts/wish.ts"
import { raise } from "../../errors.ts"
import type { Handler, Output } from "../../handler.ts"
import { findLaunchTemplate, templateTags, withTemplate } from "../../launch-templates/launch.ts"
import { toReservations } from "../answer.ts"
import { requireHibernatingRoot, requireHibernatingType } from "../hibernation.ts"
import { instanceKind } from "../record.ts"
import { requireTypeSupport } from "../type-support.ts"
import { freePublicAddresses } from "../../addresses/pool.ts"
import { roomForInterfaces } from "../../network-interfaces/quotas.ts"
import { portNumberScope } from "../../network-interfaces/record.ts"
import { findPlaces, requirePlacementGroup, zoneOfCluster } from "../../placement-groups/members.ts"
import { usualDnsName } from "../../network-interfaces/names.ts"
import { vpcKind, vpcNamesOf } from "../../vpcs/record.ts"
import { subnetScope } from "../../vpcs/subnet-scope.ts"
import { toNumber } from "../../vpcs/addresses.ts"
import { freeAddresses, requireUsable } from "../../vpcs/free-addresses.ts"
import { roomFor } from "./capacity.ts"
import { createInstance, guestNumberScope } from "./create.ts"
import { findGroups, findImage, findMachine, findPublicKey, findSubnet } from "./place.ts"
import { allDevices } from "./volumes.ts"
import { type LaunchWish, readLaunch } from "./wish.ts"

export const runInstances: Handler<"RunInstances"> = async (input, call) => {
  const settings = await readSettings(call)
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return answerEarlier(call, earlier)

  const template = await findLaunchTemplate(call, input.LaunchTemplate)
  const asked = template === undefined ? input : withTemplate(input, template.record.data)
  const first = readLaunch(asked, settings)
  const image = await findImage(call, first.image, first.type)
  const read = image.record.imdsSupport === undefined ? first : readLaunch(asked, withTokens(settings))
  const wish = template === undefined ? read : withTags(read, templateTags(template))
  const machine = findMachine(call, wish.type, image, wish.cpu)
  requireTypeSupport(wish.type, wish.attributes)
  const group = wish.group === undefined ? undefined : await requirePlacementGroup(call, wish.group)
  const subnet = await findSubnet(call, wish, group && (await zoneOfCluster(call, group)))
  const groups = await findGroups(call, wish.network, subnet.record.vpc)
  const vpc = await call.require(vpcKind, subnet.record.vpc)
  const publicKey = await findPublicKey(call, wish.keyName)
  call.authorize("ec2:RunInstances", subnet, ...groups)
  const devices = await allDevices(call, wish, image.record, settings)
  if (wish.hibernation) {
    requireHibernatingType(wish.type, image.record.platform)
    for (const device of devices)
      if (device.root) requireHibernatingRoot({ ...device, encrypted: device.kmsKey !== undefined }, machine.memoryMiB)
  }
  const associate = wish.network.associatePublicAddress ?? subnet.record.mapPublicIpOnLaunch
  const { zone } = subnet.record
  const sitter = { type: machine.name, platform: image.record.platform, zone }
  const hosts = wish.host && (await hostsFor(call, { ...machine, type: machine.name, zone }, wish.host, wish))
  const seats = hosts === undefined ? await seatsFor(call, sitter, wish) : []
  const counts = mayRunAnywhere(wish.capacity) ? wish : { min: wish.min, max: seats.length }
  const room = { min: wish.min, max: hosts?.length ?? (await roomFor(call, machine, counts, zone, seats.length)) }
  const places =
    group && (await findPlaces(call, group, { type: wish.type, zone, partition: wish.group?.partition }, room))
  const most = places?.length ?? room.max
  const { count, guests, ports, addresses, publicAddresses } = await takeNumbers(call, subnet, wish, most, associate)

  const reservation = newId("r")
  const instances = addresses.slice(0, count).map((address, launchIndex) =>
    createInstance(call, {
      wish,
      image,
      machine,
      subnet,
      groups,
      devices,
      reservation,
      launchIndex,
      address,
      vpcCidr: vpc.record.cidr,
      vpcNames: vpcNamesOf(vpc.record),
      privateDnsName: { ...usualDnsName, ...subnet.record.privateDnsName, ...wish.privateDnsName },
      number: guests[launchIndex] as number,
      portNumber: ports[launchIndex] as number,
      autoPublic: associate,
      publicAddress: publicAddresses[launchIndex],
      publicKey,
      seat: seats[launchIndex],
      host: hosts?.[launchIndex],
      placement: places?.[launchIndex],
    }),
  )
  const [launched] = instances
  if (launched !== undefined) rememberToken(call, token, parameters, launched.instance.id)
  call.draft.expect(subnet)
  call.draft.expect(vpc)
  for (const group of groups) call.draft.expect(group)
  await call.commit()
  const interfaces = new Map(instances.map(({ networkInterface }) => [networkInterface.id, networkInterface]))
  return toReservations(
    instances.map(({ instance }) => instance),
    interfaces,
  )[0] as Output<"RunInstances">
}

/** Defaults of an image with IMDSv2 alone; what the account has set for itself goes before them. */
const withTokens = (settings: SettingsRecord): SettingsRecord => ({
  ...settings,
  metadata: { tokens: "required", hopLimit: 2, ...settings.metadata },
})

/** Its instances have these tags besides. */
function withTags(wish: LaunchWish, added: readonly Tag[]): LaunchWish {
  return { ...wish, tags: { ...wish.tags, instance: [...wish.tags.instance, ...added] } }
}

/** Dedicated Hosts, one for each instance, as many as there is room for. What runs there takes no other room, and counts against no quota. */
async function hostsFor(call: Call, guest: Guest, host: HostWish, wish: LaunchWish): Promise<readonly string[]> {
  if (wish.capacity?.preference !== "none" && wish.capacity !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "An instance with a tenancy of 'host' cannot run in a Capacity Reservation.",
    })
  await requireHost(call, host, guest)
  const placer = createPlacer(call)
  const hosts: string[] = []
  while (hosts.length < wish.max) {
    const id = await placer.place(guest, host)
    if (id === undefined) break
    hosts.push(id)
  }
  if (hosts.length < wish.min) throw noRoomOnHost(host)
  return hosts
}

/** Seats in capacity reservations, at most one for each instance. Throws ReservationCapacityExceeded where they have to be enough and are not. */
async function seatsFor(call: Call, sitter: Sitter, { min, max, capacity }: LaunchWish): Promise<readonly Seat[]> {
  await requireTarget(call, capacity, sitter)
  const usher = createUsher(call)
  const seats: Seat[] = []
  while (seats.length < max) {
    const seat = await usher.seat(sitter, capacity)
    if (seat === undefined) break
    seats.push(seat)
  }
  if (!mayRunAnywhere(capacity) && seats.length < min) throw noSeat(sitter, capacity)
  return seats
}

/** The same answer again, with what has become of the instances since. */
async function answerEarlier(call: Call, firstInstance: string): Promise<Output<"RunInstances">> {
  const first = await call.require(instanceKind, firstInstance)
  const instances = await call.list(instanceKind, "reservation-id", first.record.reservation)
  const { networkInterfaceKind } = await import("../../network-interfaces/record.ts")
  const interfaces = await call.load(
    networkInterfaceKind,
    instances.flatMap((instance) => instance.record.networkInterfaces),
  )
  return toReservations(instances, interfaces)[0] as Output<"RunInstances">
}

const lastPort = 4_194_303
/** On a host every guest has a user of its own, out of its home's ten thousand. */
const lastGuest = { qemu: 9_899, sim: lastPort }

/** Between MinCount and `wanted`, as many as there are numbers and addresses for. Throws the error of what is short below MinCount. */
async function takeNumbers(
  call: Call,
  subnet: Parameters<typeof createInstance>[1]["subnet"],
  wish: LaunchWish,
  wanted: number,
  associate: boolean,
) {
  const { store, cloud } = call
  const most = await roomForInterfaces(call, subnet.record.vpc, wanted, wish.min)
  const last = lastGuest[cloud.settings.engine]
  const guests = await findSomeNumbers(store, guestNumberScope, 1, last, most)
  const ports = await findSomeNumbers(store, portNumberScope, 1, lastPort, most)
  if (Math.min(guests.length, ports.length) < wish.min)
    throw raise("InstanceLimitExceeded", { wanted: wish.min, limit: last })
  const addresses = await takeAddresses(call, subnet, wish, most)
  const publicAddresses = associate ? await freePublicAddresses(call, most, wish.min) : []
  const found = [guests, ports, addresses, ...(associate ? [publicAddresses] : [])]
  return { guests, ports, addresses, publicAddresses, count: Math.min(...found.map((each) => each.length)) }
}

async function takeAddresses(
  call: Call,
  subnet: Parameters<typeof createInstance>[1]["subnet"],
  { network: { address: wanted }, min }: LaunchWish,
  most: number,
): Promise<readonly string[]> {
  if (wanted !== undefined) {
    requireUsable(subnet, wanted)
    if ((await call.store.claims(subnetScope(subnet.id), [String(toNumber(wanted))])).length > 0)
      throw raise("InvalidIPAddress.InUse", { address: wanted })
    return [wanted]
  }
  const addresses = await freeAddresses(call, subnet, most)
  if (addresses.length < min) throw raise("InsufficientFreeAddressesInSubnet", { id: subnet.id })
  return addresses
}
