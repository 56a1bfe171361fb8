/** Network interfaces as answers show them: alone, and inside their instance. */
import type { InstanceNetworkInterface, NetworkInterface } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { toTags } from "../tags/answer.ts"
import { privateDnsName, publicDnsName } from "./names.ts"
import type { NetworkInterfaceRecord } from "./record.ts"

export function toNetworkInterface(resource: Resource<NetworkInterfaceRecord>): NetworkInterface {
  const { id, account, region, record } = resource
  const association = toAssociation(resource)
  const attachment = record.attachment
  return {
    NetworkInterfaceId: id,
    OwnerId: account,
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    SubnetId: record.subnet,
    VpcId: record.vpc,
    Description: record.description,
    InterfaceType: "interface",
    MacAddress: record.mac,
    PrivateIpAddress: record.address,
    PrivateDnsName: privateDnsName(record.address, region),
    PrivateIpAddresses: [toPrimary(resource)],
    Ipv6Addresses: [],
    Groups: toGroups(record),
    RequesterManaged: false,
    SourceDestCheck: record.sourceDestCheck,
    Status: attachment === undefined ? "available" : attachment.status === "attached" ? "in-use" : attachment.status,
    TagSet: toTags(record.tags) ?? [],
    ...(association === undefined ? {} : { Association: association }),
    ...(attachment === undefined
      ? {}
      : {
          Attachment: {
            AttachmentId: attachment.id,
            AttachTime: new Date(attachment.attachedMs),
            DeleteOnTermination: attachment.deleteOnTermination,
            DeviceIndex: attachment.deviceIndex,
            NetworkCardIndex: 0,
            InstanceId: attachment.instance,
            InstanceOwnerId: account,
            Status: attachment.status,
          },
        }),
  }
}

export function toInstanceNetworkInterface(resource: Resource<NetworkInterfaceRecord>): InstanceNetworkInterface {
  const { id, account, region, record } = resource
  const association = toAssociation(resource)
  const attachment = record.attachment
  return {
    NetworkInterfaceId: id,
    OwnerId: account,
    SubnetId: record.subnet,
    VpcId: record.vpc,
    Description: record.description,
    InterfaceType: "interface",
    MacAddress: record.mac,
    PrivateIpAddress: record.address,
    PrivateDnsName: privateDnsName(record.address, region),
    PrivateIpAddresses: [toPrimary(resource)],
    Ipv6Addresses: [],
    Groups: toGroups(record),
    SourceDestCheck: record.sourceDestCheck,
    Status: attachment?.status === "attached" ? "in-use" : (attachment?.status ?? "available"),
    ...(association === undefined ? {} : { Association: association }),
    ...(attachment === undefined
      ? {}
      : {
          Attachment: {
            AttachmentId: attachment.id,
            AttachTime: new Date(attachment.attachedMs),
            DeleteOnTermination: attachment.deleteOnTermination,
            DeviceIndex: attachment.deviceIndex,
            NetworkCardIndex: 0,
            Status: attachment.status,
          },
        }),
  }
}

function toPrimary(resource: Resource<NetworkInterfaceRecord>) {
  const association = toAssociation(resource)
  return {
    Primary: true,
    PrivateIpAddress: resource.record.address,
    PrivateDnsName: privateDnsName(resource.record.address, resource.region),
    ...(association === undefined ? {} : { Association: association }),
  }
}

function toGroups(record: NetworkInterfaceRecord) {
  return record.groups.map((group) => ({ GroupId: group.id, GroupName: group.name }))
}

function toAssociation({ account, region, record }: Resource<NetworkInterfaceRecord>) {
  const held = record.publicAddress
  if (held === undefined) return undefined
  return {
    PublicIp: held.address,
    PublicDnsName: publicDnsName(held.address, region),
    IpOwnerId: held.allocation === undefined ? "amazon" : account,
    ...(held.allocation === undefined ? {} : { AllocationId: held.allocation }),
    ...(held.association === undefined ? {} : { AssociationId: held.association }),
  }
}
