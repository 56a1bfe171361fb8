/** Volumes as they are stored. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface VolumeRecord extends Tagged {
  readonly sizeGiB: number
  readonly type: string
  readonly iops?: number
  readonly throughputMiBps?: number
  readonly zone: string
  readonly zoneId: string
  readonly snapshot?: string
  readonly encrypted: boolean
  /** ARN, of an encrypted one. */
  readonly kmsKey?: string
  readonly createdMs: number
  /** Asked for by ModifyVolumeAttribute. */
  readonly autoEnableIo?: true
  readonly state: "creating" | "available" | "in-use" | "deleting" | "error"
  readonly attachment?: {
    readonly instance: string
    readonly device: string
    readonly attachedMs: number
    readonly status: "attaching" | "attached" | "detaching"
    readonly deleteOnTermination: boolean
  }
}

export const volumeKind = defineKind<VolumeRecord>({
  name: "volume",
  prefix: "vol",
  schema: 1,
  notFound: ["InvalidVolume.NotFound", "The volume '{id}' does not exist."],
  malformed: ["InvalidParameterValue", "Value ({id}) for parameter volumeId is invalid. Expected: 'vol-...'."],
  facets: ({ id, record }) => ({
    "volume-id": id,
    "availability-zone": record.zone,
    "availability-zone-id": record.zoneId,
    "create-time": new Date(record.createdMs).toISOString(),
    encrypted: record.encrypted,
    "fast-restored": false,
    "multi-attach-enabled": false,
    "operator.managed": false,
    size: record.sizeGiB,
    "snapshot-id": record.snapshot,
    status: record.state,
    "volume-type": record.type,
    "attachment.attach-time": record.attachment && new Date(record.attachment.attachedMs).toISOString(),
    "attachment.delete-on-termination": record.attachment?.deleteOnTermination,
    "attachment.device": record.attachment?.device,
    "attachment.instance-id": record.attachment?.instance,
    "attachment.status": record.attachment?.status,
  }),
})
