/** CapacityReservationSpecification: which reservations an instance may run in. */
import type { CapacityReservationSpecification, CapacityReservationSpecificationResponse } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import { capacityReservationKind, stateOf } from "./record.ts"
import { type Sitter, suits } from "./seats.ts"

/** Of the two, one is there. An instance without a wish runs in any open reservation that suits it. */
export interface CapacityWish {
  readonly preference?: "none" | "capacity-reservations-only"
  readonly target?: string
}

const preferences = ["capacity-reservations-only", "none", "open"]

/** The wish, or undefined for what is usual. */
export function readCapacityWish(given: CapacityReservationSpecification | undefined): CapacityWish | undefined {
  if (given === undefined) return undefined
  const { CapacityReservationPreference: preference, CapacityReservationTarget: target } = given
  if (preference !== undefined && !preferences.includes(preference))
    throw raise("InvalidParameterValue", {
      detail: `Value (${preference}) for parameter CapacityReservationPreference is invalid. Expected: ${preferences.join(", ")}.`,
    })
  const { CapacityReservationId: id, CapacityReservationResourceGroupArn: group } = target ?? {}
  if (group !== undefined)
    throw raise("UnsupportedOperation", {
      operation: "CapacityReservationTarget with CapacityReservationResourceGroupArn",
    })
  if (target !== undefined && id === undefined)
    throw raise("MissingParameter", { name: "CapacityReservationTarget.CapacityReservationId" })
  if (id !== undefined) {
    if (preference === "open" || preference === "none")
      throw raise("InvalidParameterCombination", {
        detail: `The parameter CapacityReservationTarget cannot be used with CapacityReservationPreference=${preference}`,
      })
    return { target: id }
  }
  return preference === undefined || preference === "open" ? undefined : { preference: preference as "none" }
}

/** Throws for a target that is not there, is over, or is for other instances. */
export async function requireTarget(call: Call, wish: CapacityWish | undefined, sitter: Sitter): Promise<void> {
  if (wish?.target === undefined) return
  const reservation = await call.require(capacityReservationKind, wish.target)
  const state = stateOf(reservation.record, call.nowMs)
  if (state !== "active")
    throw raise("IncorrectState", { detail: `The Capacity Reservation '${wish.target}' is ${state}.` })
  if (!suits(reservation, sitter))
    throw raise("InvalidParameterCombination", {
      detail: `The attributes of the Capacity Reservation '${wish.target}' do not match those of the instance: its instance type is ${reservation.record.type}, its platform ${reservation.record.platform}, its Availability Zone ${reservation.record.zone}.`,
    })
}

/** Where an instance that runs in reservations only finds none with room. */
export function noSeat({ type, zone }: Sitter, wish: CapacityWish | undefined) {
  return wish?.target === undefined
    ? raise("InsufficientInstanceCapacity", { type, zone, why: "no open Capacity Reservation has room for it" })
    : raise("ReservationCapacityExceeded")
}

/** Whether an instance with this wish is launched outside of reservations too. */
export const mayRunAnywhere = (wish: CapacityWish | undefined) => wish === undefined || wish.preference === "none"

export function toCapacitySpecification(wish: CapacityWish | undefined): CapacityReservationSpecificationResponse {
  if (wish?.target !== undefined) return { CapacityReservationTarget: { CapacityReservationId: wish.target } }
  return { CapacityReservationPreference: wish?.preference ?? "open" }
}
