/** Dedicated Hosts as answers show them. */
import type { Host as Shown, InstanceCapacity } from "@aws-sdk/client-ec2"
import { toTags } from "../tags/answer.ts"
import { hostStateOf } from "./record.ts"
import type { HostRoom } from "./room.ts"
import { fitting, sizesOf } from "./shapes.ts"

export function toHost({ host, instances, vcpus, memoryMiB }: HostRoom): Shown {
  const { id, account, record } = host
  const { type, family } = record
  const released = hostStateOf(record) === "released"
  return {
    HostId: id,
    OwnerId: account,
    State: hostStateOf(record),
    AllocationTime: new Date(record.allocatedMs),
    AutoPlacement: record.autoPlacement,
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    AllowsMultipleInstanceTypes: type === undefined ? "on" : "off",
    HostProperties: {
      Cores: record.cores,
      TotalVCpus: record.vcpus,
      InstanceFamily: family,
      ...(type !== undefined && { InstanceType: type }),
    },
    AvailableCapacity: {
      AvailableVCpus: released ? 0 : vcpus,
      AvailableInstanceCapacity: sizesOf(family)
        .filter(({ name }) => type === undefined || name === type)
        .map((size): InstanceCapacity => ({
          InstanceType: size.name,
          AvailableCapacity: released ? 0 : fitting(size, { vcpus, memoryMiB }),
          TotalCapacity: fitting(size, record),
        })),
    },
    Instances: instances.map(({ id: instance, account: owner, record: { type: its } }) => ({
      InstanceId: instance,
      InstanceType: its,
      OwnerId: owner,
    })),
    HostRecovery: "off",
    HostMaintenance: "off",
    MemberOfServiceLinkedResourceGroup: false,
    ClientToken: record.clientToken ?? "",
    Tags: toTags(record.tags),
    ...(record.releasedMs === undefined ? {} : { ReleaseTime: new Date(record.releasedMs) }),
  }
}
