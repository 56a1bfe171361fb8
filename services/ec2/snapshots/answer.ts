/** Snapshots as answers show them. */
import type { Snapshot } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { toTags } from "../tags/answer.ts"
import { progressOf, type SnapshotRecord } from "./record.ts"

/** Tags of another account's are not shown. */
export function toSnapshot(call: Call, { id, account, record }: Resource<SnapshotRecord>): Snapshot {
  return {
    SnapshotId: id,
    VolumeId: record.volume,
    VolumeSize: record.sizeGiB,
    Description: record.description,
    Encrypted: record.encrypted,
    OwnerId: account,
    Progress: progressOf(record),
    StartTime: new Date(record.startedMs),
    State: record.state,
    StorageTier: "standard",
    Tags: account === call.account ? toTags(record.tags) : undefined,
    ...(record.kmsKey === undefined ? {} : { KmsKeyId: record.kmsKey }),
    ...(record.message === undefined ? {} : { StateMessage: record.message }),
    ...(record.completedMs === undefined ? {} : { CompletionTime: new Date(record.completedMs) }),
  }
}
