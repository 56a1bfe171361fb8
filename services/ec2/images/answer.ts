/** Images as answers show them. */
import type { Image } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { toTags } from "../tags/answer.ts"
import { devicesOf, toMapping } from "./devices.ts"
import { platformDetails, toPlatform, usageOperation } from "./platform.ts"
import { aliasOf, bootModeOf, type ImageRecord } from "./record.ts"

/** Tags of another account's are not shown. `allowed`: what Allowed AMIs says of it, where they are on. */
export function toImage(call: Call, { id, account, record }: Resource<ImageRecord>, allowed?: boolean): Image {
  return {
    ImageId: id,
    Name: record.name,
    ...(record.description === "" ? {} : { Description: record.description }),
    Architecture: record.architecture,
    BlockDeviceMappings: devicesOf(record).map(toMapping),
    BootMode: bootModeOf(record),
    CreationDate: new Date(record.createdMs).toISOString(),
    EnaSupport: true,
    Hypervisor: "xen",
    ImageLocation: `${aliasOf(account, record) ?? account}/${record.name}`,
    ImageType: "machine",
    OwnerId: account,
    PlatformDetails: platformDetails(record.platform),
    Public: record.public,
    RootDeviceName: record.rootDeviceName,
    RootDeviceType: "ebs",
    State: record.state,
    Tags: account === call.account ? toTags(record.tags) : undefined,
    UsageOperation: usageOperation(record.platform),
    VirtualizationType: "hvm",
    ...toPlatform(record.platform),
    ...(aliasOf(account, record) === undefined ? {} : { ImageOwnerAlias: "amazon" }),
    ...(record.stateReason && { StateReason: { Code: record.stateReason.code, Message: record.stateReason.message } }),
    ...(record.imdsSupport && { ImdsSupport: record.imdsSupport }),
    ...(record.deprecatedMs === undefined ? {} : { DeprecationTime: new Date(record.deprecatedMs).toISOString() }),
    ...(record.sourceInstance && { SourceInstanceId: record.sourceInstance }),
    ...(record.source && { SourceImageId: record.source.image, SourceImageRegion: record.source.region }),
    ...(allowed === undefined ? {} : { ImageAllowed: allowed }),
    ...(account === call.account && { DeregistrationProtection: protectionOf(record, call.nowMs) }),
  }
}

/** As EC2 words it. */
export function protectionOf({ protection }: ImageRecord, nowMs: number): string {
  if (protection === undefined || (protection.untilMs ?? Infinity) <= nowMs) return "disabled"
  if (protection.untilMs !== undefined)
    return `disabled-with-cooldown until ${new Date(protection.untilMs).toISOString()}`
  return protection.cooldown ? "enabled-with-cooldown" : "enabled-without-cooldown"
}
