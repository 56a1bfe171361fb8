/**
 * Calls that take room of the host, or of a quota, one after the other: each counts what is there before it commits, and of two at once both
 * would count the same. Other calls go on beside them; where nothing is short, so do these, but for large launches: a VPC takes so many
 * interfaces and no more (network-interfaces/quotas.ts).
 */
import type { Cloud } from "#cloud/call.ts"
import type { Dispatcher } from "#cloud/service.ts"
import { inTurn } from "#cloud/turns.ts"

const takeRoom: ReadonlySet<string> = new Set([
  "AllocateHosts",
  "CreateCapacityReservation",
  "CreateCapacityReservationBySplitting",
  "ModifyCapacityReservation",
  "MoveCapacityReservationInstances",
  "RunInstances",
  "StartInstances",
])

const isLarge = (launch: { readonly MaxCount?: number }) => (launch.MaxCount ?? 0) > 10

/** The same dispatcher, with turns. One process serves a home, so that they are kept in its memory. */
export function roomInTurn(dispatcher: Dispatcher, { settings, store }: Cloud): Dispatcher {
  const isShort = settings.capacity !== undefined || settings.vcpuLimit !== undefined
  const takes = (operation: string, input: object) =>
    isShort ? takeRoom.has(operation) : operation === "RunInstances" && isLarge(input)
  return {
    handles: (operation) => dispatcher.handles(operation),
    isPure: (operation) => dispatcher.isPure(operation),
    dispatch(operation, input, info) {
      const work = () => dispatcher.dispatch(operation, input, info)
      return takes(operation, input) ? inTurn(store, "room", work) : work()
    },
  }
}
