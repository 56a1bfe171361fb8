/** Instances as answers show them. */
import type {
  GroupIdentifier,
  Instance,
  InstanceBlockDeviceMapping,
  InstanceMaintenanceOptions,
  InstanceStateChange,
  InstanceStateName,
  Reservation,
} from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { toCapacitySpecification } from "../capacity-reservations/wish.ts"
import { platformDetails, toPlatform, usageOperation } from "../images/platform.ts"
import { toInstanceNetworkInterface } from "../network-interfaces/answer.ts"
import { toPrivateDnsNameOptions } from "../network-interfaces/names.ts"
import type { NetworkInterfaceRecord } from "../network-interfaces/record.ts"
import { toTags } from "../tags/answer.ts"
import { toCpuOptions } from "./cpu-options.ts"
import { toMetadataOptions } from "./metadata-options.ts"
import { type InstanceRecord, type InstanceState, stateCodes, stateReasonOf, tenancyOf } from "./record.ts"

type Interfaces = ReadonlyMap<string, Resource<NetworkInterfaceRecord>>

/** Instances grouped by the call that made them, in the order given. */
export function toReservations(instances: readonly Resource<InstanceRecord>[], interfaces: Interfaces): Reservation[] {
  const reservations = new Map<string, Reservation & { Instances: Instance[] }>()
  for (const instance of instances) {
    const id = instance.record.reservation
    let reservation = reservations.get(id)
    if (reservation === undefined) {
      reservation = { ReservationId: id, OwnerId: instance.account, Groups: [], Instances: [] }
      reservations.set(id, reservation)
    }
    reservation.Instances.push(toInstance(instance, interfaces))
  }
  return [...reservations.values()]
}

export function toState(state: InstanceState): { Code: number; Name: InstanceStateName } {
  return { Code: stateCodes[state], Name: state }
}

export function toStateChange(id: string, before: InstanceState, after: InstanceState): InstanceStateChange {
  return { InstanceId: id, PreviousState: toState(before), CurrentState: toState(after) }
}

export function toBlockDeviceMappings(record: InstanceRecord): InstanceBlockDeviceMapping[] {
  return record.blockDevices.map((device) => ({
    DeviceName: device.device,
    Ebs: {
      AttachTime: new Date(device.attachedMs),
      DeleteOnTermination: device.deleteOnTermination,
      Status: device.status,
      VolumeId: device.volume,
    },
  }))
}

export function toGroups(record: InstanceRecord): GroupIdentifier[] {
  return record.groups.map((group) => ({ GroupId: group.id, GroupName: group.name }))
}

export function toMaintenanceOptions({ attributes }: InstanceRecord): InstanceMaintenanceOptions {
  const { autoRecovery = "default", rebootMigration = "default" } = attributes.maintenance ?? {}
  return { AutoRecovery: autoRecovery, RebootMigration: rebootMigration }
}

export function toInstance(instance: Resource<InstanceRecord>, interfaces: Interfaces): Instance {
  const { id, record } = instance
  const reason = stateReasonOf(record)
  return {
    InstanceId: id,
    AmiLaunchIndex: record.launchIndex,
    Architecture: record.architecture,
    BlockDeviceMappings: toBlockDeviceMappings(record),
    BootMode: record.architecture === "arm64" ? "uefi" : "legacy-bios",
    CapacityReservationSpecification: toCapacitySpecification(record.capacity),
    ClientToken: record.clientToken ?? "",
    CpuOptions: toCpuOptions(record),
    CurrentInstanceBootMode: record.architecture === "arm64" ? "uefi" : "legacy-bios",
    EbsOptimized: record.attributes.ebsOptimized,
    EnaSupport: record.attributes.enaSupport,
    EnclaveOptions: { Enabled: false },
    HibernationOptions: { Configured: record.hibernationConfigured === true },
    Hypervisor: "xen",
    ImageId: record.image,
    InstanceType: record.type as never,
    LaunchTime: new Date(record.launchedMs),
    MaintenanceOptions: toMaintenanceOptions(record),
    MetadataOptions: toMetadataOptions(record.attributes.metadata),
    Monitoring: { State: record.attributes.monitoring },
    NetworkInterfaces: record.networkInterfaces.flatMap((networkInterface) => {
      const found = interfaces.get(networkInterface)
      return found === undefined ? [] : [toInstanceNetworkInterface(found)]
    }),
    Placement: {
      AvailabilityZone: record.zone,
      AvailabilityZoneId: record.zoneId,
      GroupName: record.placement?.name ?? "",
      Tenancy: tenancyOf(record),
      ...(record.host && { HostId: record.host.id, Affinity: record.host.affinity }),
      ...(record.placement === undefined ? {} : { GroupId: record.placement.group }),
      ...(record.placement?.partition === undefined ? {} : { PartitionNumber: record.placement.partition }),
    },
    PlatformDetails: platformDetails(record.platform),
    PrivateDnsName: record.dnsName,
    PrivateDnsNameOptions: toPrivateDnsNameOptions(record.privateDnsName),
    ProductCodes: [],
    PublicDnsName: record.publicDnsName ?? "",
    RootDeviceName: record.rootDevice,
    RootDeviceType: "ebs",
    SecurityGroups: toGroups(record),
    SourceDestCheck: record.attributes.sourceDestCheck,
    State: toState(record.state),
    StateTransitionReason: record.transitionReason,
    Tags: toTags(record.tags),
    UsageOperation: usageOperation(record.platform),
    UsageOperationUpdateTime: new Date(record.launchedMs),
    VirtualizationType: "hvm",
    ...(record.address === "" ? {} : { PrivateIpAddress: record.address, SubnetId: record.subnet, VpcId: record.vpc }),
    ...toPlatform(record.platform),
    ...(record.publicAddress === undefined ? {} : { PublicIpAddress: record.publicAddress }),
    ...(record.attributes.sriovNetSupport === undefined ? {} : { SriovNetSupport: record.attributes.sriovNetSupport }),
    ...(record.seat === undefined ? {} : { CapacityReservationId: record.seat.reservation }),
    ...(record.keyName === undefined ? {} : { KeyName: record.keyName }),
    ...(reason === undefined ? {} : { StateReason: { Code: reason.code, Message: reason.message } }),
  }
}
