/** DescribeVolumes, and the table of the family. */
import type { Volume } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { describeVolumeAttribute, modifyVolumeAttribute } from "./attributes.ts"
import { type VolumeRecord, volumeKind } from "./record.ts"
import { describeVolumeStatus } from "./status.ts"

const filterNames = [
  "attachment.attach-time",
  "attachment.delete-on-termination",
  "attachment.device",
  "attachment.instance-id",
  "attachment.status",
  "availability-zone",
  "availability-zone-id",
  "create-time",
  "encrypted",
  "fast-restored",
  "multi-attach-enabled",
  "operator.managed",
  "operator.principal",
  "size",
  "snapshot-id",
  "source-volume-id",
  "status",
  "volume-id",
  "volume-type",
]

const describeVolumes: Handler<"DescribeVolumes"> = async (input, call) => {
  const page = await call.describe({
    kind: volumeKind,
    ids: input.VolumeIds,
    idsCalled: "volumeSet",
    filterNames,
    ...asked(input),
  })
  return { Volumes: page.items.map(toVolume), ...nextToken(page) }
}

function toVolume({ id, record }: Resource<VolumeRecord>): Volume {
  const attachment = record.attachment
  return {
    VolumeId: id,
    Attachments:
      attachment === undefined
        ? []
        : [
            {
              VolumeId: id,
              InstanceId: attachment.instance,
              Device: attachment.device,
              State: attachment.status,
              AttachTime: new Date(attachment.attachedMs),
              DeleteOnTermination: attachment.deleteOnTermination,
            },
          ],
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    CreateTime: new Date(record.createdMs),
    Encrypted: record.encrypted,
    ...(record.kmsKey === undefined ? {} : { KmsKeyId: record.kmsKey }),
    MultiAttachEnabled: false,
    Size: record.sizeGiB,
    SnapshotId: record.snapshot ?? "",
    State: record.state,
    VolumeType: record.type as never,
    Tags: toTags(record.tags),
    ...(record.iops === undefined ? {} : { Iops: record.iops }),
    ...(record.throughputMiBps === undefined ? {} : { Throughput: record.throughputMiBps }),
  }
}

export const handlers = {
  DescribeVolumeAttribute: pure(describeVolumeAttribute),
  DescribeVolumes: pure(describeVolumes),
  DescribeVolumeStatus: pure(describeVolumeStatus),
  ModifyVolumeAttribute: modifyVolumeAttribute,
} satisfies Handlers
