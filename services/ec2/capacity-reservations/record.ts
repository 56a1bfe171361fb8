/** Capacity reservations as they are stored. Which instances run in one stands in the instances, and in claims on its seats. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface CapacityReservationRecord extends Tagged {
  readonly type: string
  readonly platform: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly zone: string
  readonly zoneId: string
  /** Instances that it has room for. */
  readonly total: number
  readonly match: "open" | "targeted"
  readonly ebsOptimized: boolean
  readonly ephemeralStorage: boolean
  readonly createdMs: number
  /** When it expires; absent for one that is unlimited. */
  readonly endMs?: number
  /** Absent while it is active. */
  readonly ended?: { readonly state: "cancelled" | "expired"; readonly atMs: number }
}

/** Of one whose time is over nobody may have taken notice yet: the clock says what it is. */
export function stateOf({ ended, endMs }: CapacityReservationRecord, nowMs: number) {
  if (ended !== undefined) return ended.state
  return endMs !== undefined && endMs <= nowMs ? "expired" : "active"
}

const isoOf = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())

export const capacityReservationKind = defineKind<CapacityReservationRecord>({
  name: "capacity-reservation",
  prefix: "cr",
  schema: 1,
  notFound: ["InvalidCapacityReservationId.NotFound", "The capacity reservation ID '{id}' does not exist"],
  malformed: ["InvalidCapacityReservationId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ account, record }) => ({
    "availability-zone": record.zone,
    "availability-zone-id": record.zoneId,
    "end-date": isoOf(record.endMs),
    "end-date-type": record.endMs === undefined ? "unlimited" : "limited",
    "instance-match-criteria": record.match,
    "instance-platform": record.platform,
    "instance-type": record.type,
    "owner-id": account,
    "start-date": isoOf(record.createdMs),
    tenancy: "default",
    // No filter of EC2's: those that may hold room are looked for at each launch.
    ended: record.ended !== undefined,
  }),
})
