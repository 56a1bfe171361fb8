/**
 * GetLaunchTemplateData: what an instance was launched with, as data for a template. What RunInstances does not do here, and would refuse, is
 * left out, though EC2 shows its default. The interface is shown with its id and address, as EC2's own example has them: to launch a second
 * instance, leave both out.
 */
import type { ResponseLaunchTemplateData } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toCpuOptions } from "../instances/cpu-options.ts"
import { notInState } from "../instances/lifecycle.ts"
import { type InstanceRecord, instanceKind, tenancyOf } from "../instances/record.ts"
import { toCapacitySpecification } from "../capacity-reservations/wish.ts"
import { creditsOf } from "../credits/families.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../network-interfaces/record.ts"
import { isReserved } from "../tags/rules.ts"
import { type VolumeRecord, volumeKind } from "../volumes/record.ts"

const getLaunchTemplateData: Handler<"GetLaunchTemplateData"> = async (input, call) => {
  const { record, id } = await call.require(instanceKind, input.InstanceId, "InstanceId")
  if (record.state === "shutting-down" || record.state === "terminated") throw notInState(id, "described")
  const volumes = await call.load(
    volumeKind,
    record.blockDevices.map(({ volume }) => volume),
  )
  const interfaces = await call.load(networkInterfaceKind, record.networkInterfaces)
  const tags = record.tags.filter(({ key }) => !isReserved(key)).map(({ key, value }) => ({ Key: key, Value: value }))
  return {
    LaunchTemplateData: {
      ...dataOf(record),
      BlockDeviceMappings: record.blockDevices.map(({ device, volume, deleteOnTermination }) => ({
        DeviceName: device,
        Ebs: { DeleteOnTermination: deleteOnTermination, ...toEbs(volumes.get(volume)?.record) },
      })),
      NetworkInterfaces: [...interfaces.values()].map(toInterface),
      ...(tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: "instance", Tags: tags }] }),
    },
  }
}

function dataOf(record: InstanceRecord): ResponseLaunchTemplateData {
  const { attributes, keyName, userData } = record
  const { metadata, maintenance } = attributes
  const cpuCredits = creditsOf(record)
  return {
    ImageId: record.image,
    InstanceType: record.type as never,
    EbsOptimized: attributes.ebsOptimized,
    Monitoring: { Enabled: attributes.monitoring === "enabled" },
    Placement: {
      AvailabilityZone: record.zone,
      GroupName: record.placement?.name ?? "",
      Tenancy: tenancyOf(record),
      ...(record.placement?.partition === undefined ? {} : { PartitionNumber: record.placement.partition }),
    },
    CapacityReservationSpecification: toCapacitySpecification(record.capacity),
    DisableApiTermination: attributes.disableApiTermination,
    DisableApiStop: attributes.disableApiStop,
    InstanceInitiatedShutdownBehavior: attributes.shutdownBehavior,
    HibernationOptions: { Configured: record.hibernationConfigured === true },
    EnclaveOptions: { Enabled: false },
    MaintenanceOptions: { AutoRecovery: maintenance?.autoRecovery ?? "default" },
    MetadataOptions: {
      HttpTokens: metadata.tokens,
      HttpPutResponseHopLimit: metadata.hopLimit,
      HttpEndpoint: metadata.endpoint,
      HttpProtocolIpv6: "disabled",
      InstanceMetadataTags: metadata.tags,
    },
    ...(record.cpu && { CpuOptions: toCpuOptions(record) }),
    ...(keyName === undefined ? {} : { KeyName: keyName }),
    ...(userData === undefined ? {} : { UserData: userData }),
    ...(cpuCredits === undefined ? {} : { CreditSpecification: { CpuCredits: cpuCredits } }),
  }
}

function toEbs(volume: VolumeRecord | undefined) {
  if (volume === undefined) return {}
  return {
    Encrypted: volume.encrypted,
    VolumeSize: volume.sizeGiB,
    VolumeType: volume.type as never,
    ...(volume.kmsKey === undefined ? {} : { KmsKeyId: volume.kmsKey }),
    ...(volume.snapshot === undefined ? {} : { SnapshotId: volume.snapshot }),
    // Of gp2 it follows from the size, and cannot be asked for.
    ...(volume.iops === undefined || volume.type === "gp2" ? {} : { Iops: volume.iops }),
    ...(volume.throughputMiBps === undefined ? {} : { Throughput: volume.throughputMiBps }),
  }
}

function toInterface({ id, record }: Resource<NetworkInterfaceRecord>) {
  return {
    AssociatePublicIpAddress: record.autoPublic,
    DeleteOnTermination: record.attachment?.deleteOnTermination ?? true,
    Description: record.description,
    DeviceIndex: record.attachment?.deviceIndex ?? 0,
    Groups: record.groups.map((group) => group.id),
    InterfaceType: "interface",
    NetworkInterfaceId: id,
    NetworkCardIndex: 0,
    PrivateIpAddress: record.address,
    PrivateIpAddresses: [{ Primary: true, PrivateIpAddress: record.address }],
    SubnetId: record.subnet,
  }
}

export const instanceHandlers = { GetLaunchTemplateData: pure(getLaunchTemplateData) } satisfies Handlers
