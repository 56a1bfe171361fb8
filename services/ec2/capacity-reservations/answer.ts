/** Capacity reservations as answers show them. */
import type { CapacityReservation } from "@aws-sdk/client-ec2"
import { toTags } from "../tags/answer.ts"
import { stateOf } from "./record.ts"
import type { Reservation } from "./seats.ts"

/** `taken`: instances that run in it. */
export function toReservation({ id, account, region, record }: Reservation, taken: number, nowMs: number) {
  const state = stateOf(record, nowMs)
  return {
    CapacityReservationId: id,
    OwnerId: account,
    CapacityReservationArn: `arn:aws:ec2:${region}:${account}:capacity-reservation/${id}`,
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    InstanceType: record.type,
    InstancePlatform: record.platform as never,
    Tenancy: "default",
    ...countsOf(record.total, taken, state),
    EbsOptimized: record.ebsOptimized,
    EphemeralStorage: record.ephemeralStorage,
    State: state,
    StartDate: new Date(record.createdMs),
    CreateDate: new Date(record.createdMs),
    EndDateType: record.endMs === undefined ? "unlimited" : "limited",
    InstanceMatchCriteria: record.match,
    ReservationType: "default",
    CapacityAllocations: taken === 0 ? [] : [{ AllocationType: "used", Count: taken }],
    Tags: toTags(record.tags),
    ...(record.endMs === undefined ? {} : { EndDate: new Date(record.endMs) }),
  } satisfies CapacityReservation
}

/** One that is over holds nothing. */
export function countsOf(total: number, taken: number, state: string) {
  return { TotalInstanceCount: total, AvailableInstanceCount: state === "active" ? Math.max(0, total - taken) : 0 }
}
