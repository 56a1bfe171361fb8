/** One instance with its interface and its volumes, put into the draft. */
import { randomBytes, randomUUID } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { newId, type Resource } from "#cloud/resources/kind.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { publicAddressScope } from "../../addresses/pool.ts"
import { type Seat, takeSeat } from "../../capacity-reservations/seats.ts"
import type { ImageRecord } from "../../images/record.ts"
import {
  hostLabel,
  type PrivateDnsName,
  privateDomain,
  publicNameOf,
  type VpcNames,
} from "../../network-interfaces/names.ts"
import { networkInterfaceKind, type NetworkInterfaceRecord, portNumberScope } from "../../network-interfaces/record.ts"
import type { SecurityGroupRecord } from "../../security-groups/record.ts"
import { type VolumeRecord, volumeKind } from "../../volumes/record.ts"
import { toNumber } from "../../vpcs/addresses.ts"
import type { SubnetRecord } from "../../vpcs/record.ts"
import { subnetScope } from "../../vpcs/subnet-scope.ts"
import { assignGuest } from "../assignment.ts"
import { instanceKind, type InstanceRecord, type Placement } from "../record.ts"
import type { Machine } from "./place.ts"
import type { Device } from "./volumes.ts"
import type { LaunchWish } from "./wish.ts"

export const guestNumberScope = "guest-number"

export interface Launch {
  readonly wish: LaunchWish
  readonly image: Resource<ImageRecord>
  readonly machine: Machine
  readonly subnet: Resource<SubnetRecord>
  readonly groups: readonly Resource<SecurityGroupRecord>[]
  readonly devices: readonly Device[]
  readonly reservation: string
  readonly launchIndex: number
  readonly vpcCidr: string
  readonly vpcNames: VpcNames | undefined
  readonly privateDnsName: PrivateDnsName
  readonly number: number
  readonly portNumber: number
  readonly address: string
  readonly autoPublic: boolean
  readonly publicAddress: string | undefined
  readonly publicKey: string | undefined
  readonly seat: Seat | undefined
  /** Of a Dedicated Host. */
  readonly host: string | undefined
  readonly placement: Placement | undefined
}

export interface Launched {
  readonly instance: Resource<InstanceRecord>
  readonly networkInterface: Resource<NetworkInterfaceRecord>
}

export function createInstance(call: Call, launch: Launch): Launched {
  const id = newId(instanceKind.prefix)
  const networkInterface = createInterface(call, launch, id)
  const volumes = launch.devices.map((device) => ({ device, volume: createVolume(call, launch, id, device) }))
  const instance = call.draft.create(instanceKind, instanceRecord(call, id, launch, networkInterface, volumes), id)
  const { standsFor } = launch.image.record
  // `fractus why` tells it.
  if (standsFor !== undefined)
    call.draft.event("image-stand-in", id, { state: `launched of ${standsFor.name}, in place of ${launch.image.id}` })
  call.draft.claim(guestNumberScope, launch.number, id)
  if (launch.seat !== undefined) takeSeat(call, id, launch.seat)
  assignGuest(call, instance, [networkInterface])
  return { instance, networkInterface }
}

function createInterface(call: Call, launch: Launch, instance: string): Resource<NetworkInterfaceRecord> {
  const { subnet, groups, wish } = launch
  const resource = call.draft.create(networkInterfaceKind, {
    number: launch.portNumber,
    subnet: subnet.id,
    subnetCidr: subnet.record.cidr,
    vpc: subnet.record.vpc,
    vpcCidr: launch.vpcCidr,
    ...(launch.vpcNames && { vpcNames: launch.vpcNames }),
    zone: subnet.record.zone,
    zoneId: subnet.record.zoneId,
    mac: macOf(launch.portNumber),
    address: launch.address,
    description: wish.network.description,
    groups: groups.map((group) => ({ id: group.id, name: group.record.name })),
    sourceDestCheck: true,
    createdMs: call.nowMs,
    autoPublic: launch.autoPublic,
    attachment: {
      id: newId("eni-attach"),
      instance,
      deviceIndex: 0,
      attachedMs: call.nowMs,
      status: "attaching",
      deleteOnTermination: wish.network.deleteOnTermination,
    },
    tags: wish.tags.networkInterface,
    ...(launch.publicAddress === undefined ? {} : { publicAddress: { address: launch.publicAddress } }),
  })
  // Claims go when the interface goes: it owns its addresses.
  call.draft.claim(portNumberScope, launch.portNumber, resource.id)
  call.draft.claim(subnetScope(subnet.id), toNumber(launch.address), resource.id)
  if (launch.publicAddress !== undefined)
    call.draft.claim(publicAddressScope, toNumber(launch.publicAddress), resource.id)
  call.draft.link(resource.id, subnet.id, "blocks")
  for (const group of groups) call.draft.link(resource.id, group.id, "blocks")
  return resource
}

/** Locally administered, unique in the home by the port's number. */
function macOf(portNumber: number): string {
  const tail = portNumber.toString(16).padStart(6, "0")
  return ["0a", ...randomBytes(2).toString("hex").match(/../g)!, ...tail.match(/../g)!].join(":")
}

function createVolume(call: Call, launch: Launch, instance: string, device: Device): Resource<VolumeRecord> {
  const { subnet, image, wish } = launch
  const volume = call.draft.create(volumeKind, {
    sizeGiB: device.sizeGiB,
    type: device.type,
    zone: subnet.record.zone,
    zoneId: subnet.record.zoneId,
    encrypted: device.kmsKey !== undefined,
    ...(device.kmsKey && { kmsKey: device.kmsKey.arn }),
    createdMs: call.nowMs,
    state: "creating",
    attachment: {
      instance,
      device: device.device,
      attachedMs: call.nowMs,
      status: "attaching",
      deleteOnTermination: device.deleteOnTermination,
    },
    tags: wish.tags.volume,
    ...(device.snapshot === undefined ? {} : { snapshot: device.snapshot }),
    ...(device.iops === undefined ? {} : { iops: device.iops }),
    ...(device.throughputMiBps === undefined ? {} : { throughputMiBps: device.throughputMiBps }),
  })
  call.draft.assign(localHost, volume.id, {
    kind: "volume",
    id: volume.id,
    sizeBytes: device.sizeGiB * 2 ** 30,
    ...(device.copied ? { snapshot: device.snapshot } : {}),
    ...(device.root && !device.copied ? { image: bootsAs(image) } : {}),
    ...(device.kmsKey && { key: device.kmsKey.id }),
  })
  return volume
}

/** Id of the image on the host that its guests boot as. */
const bootsAs = ({ id, record }: Resource<ImageRecord>) => record.boots ?? record.standsFor?.id ?? id

function instanceRecord(
  call: Call,
  id: string,
  launch: Launch,
  networkInterface: Resource<NetworkInterfaceRecord>,
  volumes: readonly { readonly device: Device; readonly volume: Resource<VolumeRecord> }[],
): InstanceRecord {
  const { wish, machine, subnet, image, groups, privateDnsName: called } = launch
  const publicName = publicNameOf(launch.publicAddress, launch.vpcNames, call.region)
  return {
    number: launch.number,
    reservation: launch.reservation,
    launchIndex: launch.launchIndex,
    image: image.id,
    ...(bootsAs(image) === image.id ? {} : { launchedImage: bootsAs(image) }),
    type: machine.name,
    architecture: machine.architecture,
    ...(image.record.platform === undefined ? {} : { platform: image.record.platform }),
    vcpus: machine.vcpus,
    ...(wish.cpu && { cpu: wish.cpu }),
    memoryMiB: machine.memoryMiB,
    vpc: subnet.record.vpc,
    subnet: subnet.id,
    zone: subnet.record.zone,
    zoneId: subnet.record.zoneId,
    // Guests tell EC2 by a uuid that begins with "ec2".
    uuid: `ec2${randomUUID().slice(3)}`,
    state: "pending",
    transitionReason: "",
    launchedMs: call.nowMs,
    rootDevice: image.record.rootDeviceName,
    blockDevices: volumes.map(({ device, volume }) => ({
      device: device.device,
      volume: volume.id,
      deleteOnTermination: device.deleteOnTermination,
      attachedMs: call.nowMs,
      status: "attaching",
    })),
    networkInterfaces: [networkInterface.id],
    groups: groups.map((group) => ({ id: group.id, name: group.record.name })),
    address: launch.address,
    dnsName: `${hostLabel(id, launch.address, called)}.${privateDomain(call.region)}`,
    ...(called.hostnameType === "ip-name" && !called.aRecord ? {} : { privateDnsName: called }),
    starts: 1,
    resets: 0,
    attributes: wish.attributes,
    ...(wish.capacity && { capacity: wish.capacity }),
    ...(launch.seat && { seat: launch.seat }),
    ...(launch.host && { host: { id: launch.host, affinity: wish.host?.affinity ?? "default" } }),
    ...(launch.placement && { placement: launch.placement }),
    ...(wish.hibernation && { hibernationConfigured: true }),
    tags: wish.tags.instance,
    ...(wish.keyName === undefined ? {} : { keyName: wish.keyName }),
    ...(launch.publicKey === undefined ? {} : { publicKey: launch.publicKey }),
    ...(wish.userData === undefined ? {} : { userData: wish.userData }),
    ...(wish.clientToken === undefined ? {} : { clientToken: wish.clientToken }),
    ...(launch.publicAddress === undefined ? {} : { publicAddress: launch.publicAddress }),
    ...(publicName === undefined ? {} : { publicDnsName: publicName }),
  }
}
