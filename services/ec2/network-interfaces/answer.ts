/** Network interfaces as answers show them: alone, and inside their instance. */
import type { InstanceNetworkInterface, NetworkInterface, NetworkInterfaceStatus } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { listTags } from "../tags/answer.ts"
import { privateDnsName, publicNameOf } from "./names.ts"
import { addressesOf } from "./addresses.ts"
import type { NetworkInterfaceRecord, PublicAddress, SecondaryAddress } from "./record.ts"

export function toNetworkInterface(resource: Resource<NetworkInterfaceRecord>): NetworkInterface {
  const { account, record } = resource
  const { attachment } = record
  return {
    ...shared(resource),
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    RequesterManaged: false,
    TagSet: listTags(record.tags),
    ...(attachment === undefined
      ? {}
      : { Attachment: { ...toAttachment(attachment), InstanceId: attachment.instance, InstanceOwnerId: account } }),
  }
}

export function toInstanceNetworkInterface(resource: Resource<NetworkInterfaceRecord>): InstanceNetworkInterface {
  const { attachment } = resource.record
  return { ...shared(resource), ...(attachment === undefined ? {} : { Attachment: toAttachment(attachment) }) }
}

/** What an interface shows wherever it is shown. */
function shared(resource: Resource<NetworkInterfaceRecord>) {
  const { id, account, region, record } = resource
  const association = toAssociation(resource, record.publicAddress)
  return {
    NetworkInterfaceId: id,
    OwnerId: account,
    SubnetId: record.subnet,
    VpcId: record.vpc,
    Description: record.description,
    InterfaceType: "interface" as const,
    MacAddress: record.mac,
    PrivateIpAddress: record.address,
    PrivateDnsName: privateDnsName(record.address, region),
    PrivateIpAddresses: addressesOf(record).map((each) => toPrivateAddress(resource, each)),
    Ipv6Addresses: [],
    Groups: record.groups.map((group) => ({ GroupId: group.id, GroupName: group.name })),
    SourceDestCheck: record.sourceDestCheck,
    Status: statusOf(record.attachment),
    ...(association === undefined ? {} : { Association: association }),
  }
}

type Attachment = NonNullable<NetworkInterfaceRecord["attachment"]>

function statusOf(attachment: Attachment | undefined): NetworkInterfaceStatus {
  if (attachment === undefined) return "available"
  return attachment.status === "attached" ? "in-use" : attachment.status
}

function toAttachment(attachment: Attachment) {
  return {
    AttachmentId: attachment.id,
    AttachTime: new Date(attachment.attachedMs),
    DeleteOnTermination: attachment.deleteOnTermination,
    DeviceIndex: attachment.deviceIndex,
    NetworkCardIndex: 0,
    Status: attachment.status,
  }
}

function toPrivateAddress(resource: Resource<NetworkInterfaceRecord>, { address, publicAddress }: SecondaryAddress) {
  const association = toAssociation(resource, publicAddress)
  return {
    Primary: address === resource.record.address,
    PrivateIpAddress: address,
    PrivateDnsName: privateDnsName(address, resource.region),
    ...(association === undefined ? {} : { Association: association }),
  }
}

function toAssociation({ account, region, record }: Resource<NetworkInterfaceRecord>, held: PublicAddress | undefined) {
  if (held === undefined) return undefined
  return {
    PublicIp: held.address,
    PublicDnsName: publicNameOf(held.address, record.vpcNames, region) ?? "",
    IpOwnerId: held.allocation === undefined ? "amazon" : account,
    ...(held.allocation === undefined ? {} : { AllocationId: held.allocation }),
    ...(held.association === undefined ? {} : { AssociationId: held.association }),
  }
}
