/** Snapshots as they are stored. Their bytes are a host's: the assignment of the same id. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface SnapshotRecord extends Tagged {
  /** Id of the volume it was made of; of a copy "vol-ffffffff", as on EC2. */
  readonly volume: string
  readonly sizeGiB: number
  readonly description: string
  readonly state: "pending" | "completed" | "error"
  /** Why it is in error. */
  readonly message?: string
  readonly startedMs: number
  readonly completedMs?: number
  readonly encrypted: boolean
  /** ARN, of an encrypted one. */
  readonly kmsKey?: string
  /** Other accounts that may make volumes of it. */
  readonly users: readonly string[]
  readonly public: boolean
}

export const noVolume = "vol-ffffffff"

export const progressOf = ({ state }: SnapshotRecord) => (state === "completed" ? "100%" : "0%")

export const snapshotKind = defineKind<SnapshotRecord>({
  name: "snapshot",
  prefix: "snap",
  schema: 1,
  notFound: ["InvalidSnapshot.NotFound", "The snapshot '{id}' does not exist."],
  malformed: ["InvalidParameterValue", "Value ({id}) for parameter snapshotId is invalid. Expected: 'snap-...'."],
  facets: ({ id, account, record }) => ({
    "snapshot-id": id,
    "owner-id": account,
    description: record.description,
    encrypted: record.encrypted,
    progress: progressOf(record),
    "start-time": new Date(record.startedMs).toISOString(),
    status: record.state,
    "storage-tier": "standard",
    "volume-id": record.volume,
    "volume-size": record.sizeGiB,
    // No filters of DescribeSnapshots: who sees it, and whom it was shared with.
    "visible-to": [account, ...record.users, ...(record.public ? ["all"] : [])],
    "restorable-by": [...record.users, ...(record.public ? ["all"] : [])],
  }),
})
