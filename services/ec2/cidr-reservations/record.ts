/** Reservations of parts of subnets as they are stored. The subnet has their ranges too: a launch looks no further. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface CidrReservationRecord extends Tagged {
  readonly subnet: string
  readonly cidr: string
  readonly type: "prefix" | "explicit"
  readonly description?: string
}

export const cidrReservationKind = defineKind<CidrReservationRecord>({
  name: "subnet-cidr-reservation",
  prefix: "scr",
  schema: 1,
  notFound: ["InvalidSubnetCidrReservationID.NotFound", "The subnet CIDR reservation ID '{id}' does not exist"],
  malformed: ["InvalidSubnetCidrReservationId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ record }) => ({ "subnet-id": record.subnet, reservationType: record.type }),
})
