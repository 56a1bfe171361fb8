/** What a host has to know of an instance: the machine, its disks and ports, and what its metadata service says. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import type { GuestSpec, PortSpec } from "#host/protocol/types.ts"
import { creditsOf } from "../credits/families.ts"
import { cpuAccountOf } from "../credits/figures.ts"
import { hostLabel, hostName } from "../network-interfaces/names.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../network-interfaces/record.ts"
import { metadataOf } from "./metadata.ts"
import type { InstanceRecord } from "./record.ts"
import { recovers } from "./recovery.ts"

/** Puts the guest into the draft, as the host's wish: on while the instance is pending or running. */
export function assignGuest(
  call: Call,
  instance: Resource<InstanceRecord>,
  interfaces: readonly Resource<NetworkInterfaceRecord>[],
  options: { readonly force?: boolean } = {},
): void {
  call.draft.assign(localHost, instance.id, guestSpec(instance, interfaces, options.force ?? false))
}

/** The same with the instance's interfaces as they are stored. */
export async function reassignGuest(call: Call, instance: Resource<InstanceRecord>): Promise<void> {
  const interfaces = await call.load(networkInterfaceKind, instance.record.networkInterfaces)
  assignGuest(call, instance, ownInterfaces(instance, interfaces))
}

/** Tags that the guest may read in its metadata are told to the host when they change; an instance that ends needs none. */
export async function showTags(call: Call, instance: Resource<InstanceRecord>): Promise<void> {
  const { state, attributes } = instance.record
  if (attributes.metadata.tags === "enabled" && state !== "shutting-down" && state !== "terminated")
    await reassignGuest(call, instance)
}

/** An instance's interfaces, by device index, out of those that were loaded. */
export function ownInterfaces(
  instance: Resource<InstanceRecord>,
  interfaces: ReadonlyMap<string, Resource<NetworkInterfaceRecord>>,
): readonly Resource<NetworkInterfaceRecord>[] {
  return instance.record.networkInterfaces.map((id) => interfaces.get(id)).filter((found) => found !== undefined)
}

const isOn = ({ state }: InstanceRecord) => state === "pending" || state === "running"

export function guestSpec(
  instance: Resource<InstanceRecord>,
  interfaces: readonly Resource<NetworkInterfaceRecord>[],
  force: boolean,
): GuestSpec {
  const { record } = instance
  const cpuAccount = cpuAccountOf(record.type, record.vcpus, creditsOf(record))
  return {
    kind: "guest",
    power: isOn(record) ? "on" : "off",
    starts: record.starts,
    resets: record.resets,
    force,
    ...(record.hibernate === true && !isOn(record) ? { hibernate: true } : {}),
    number: record.number,
    architecture: record.architecture,
    vcpus: record.vcpus,
    memoryMiB: record.memoryMiB,
    cpuQuotaPercent: record.vcpus * 100,
    ...(cpuAccount === undefined ? {} : { cpuAccount }),
    uuid: record.uuid,
    image: record.launchedImage ?? record.image,
    disks: record.blockDevices.map((device) => ({
      volume: device.volume,
      // NVMe and virtio show it to the guest without the dash, as on AWS.
      serial: device.volume.replace("-", "").slice(0, 20),
      deviceName: device.device,
      ...(device.device === record.rootDevice ? { bootIndex: 0 } : {}),
    })),
    ports: interfaces.map((resource) => ({ network: resource.record.vpc, port: portSpec(resource, instance) })),
    metadata: metadataOf(instance, interfaces),
    afterCrash: recovers(record) ? "restart" : "stay",
    ...(record.machineVersion === undefined ? {} : { machineVersion: record.machineVersion }),
  }
}

function portSpec({ id, record }: Resource<NetworkInterfaceRecord>, instance: Resource<InstanceRecord>): PortSpec {
  // The instance's own name is its primary interface's.
  const primary = instance.record.networkInterfaces[0] === id
  const { privateDnsName } = instance.record
  return {
    id,
    number: record.number,
    subnet: record.subnet,
    mac: record.mac,
    address: record.address,
    hostName: primary ? hostLabel(instance.id, record.address, privateDnsName) : hostName(record.address),
    ...(primary && privateDnsName?.aRecord === true ? { names: [instance.id] } : {}),
    groups: record.groups.map((group) => group.id),
    checkSource: record.sourceDestCheck,
    ...(record.publicAddress === undefined ? {} : { publicAddress: record.publicAddress.address }),
    ...(record.secondaryAddresses && {
      secondary: record.secondaryAddresses.map(({ address, publicAddress }) => ({
        address,
        ...(publicAddress && { publicAddress: publicAddress.address }),
      })),
    }),
  }
}
