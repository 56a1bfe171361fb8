/**
 * Room that reservations hold, and who runs in it. A reservation has as many seats as instances; an instance that runs in it claims one by its
 * number, so that two calls never get the same, and leaves it when it stops ("Capacity Reservation concepts" of the user guide).
 */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { platformDetails } from "../images/platform.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { type CapacityReservationRecord, capacityReservationKind, stateOf } from "./record.ts"
import type { CapacityWish } from "./wish.ts"

export type Reservation = Resource<CapacityReservationRecord>

export interface Seat {
  readonly reservation: string
  readonly slot: number
}

const scopeOf = (reservation: string) => `capacity-reservation:${reservation}`

/** Those that hold room now: the caller's in its region, or everybody's in all regions, as there is one host for all. */
export async function activeReservations(call: Call, whose: "own" | "all"): Promise<readonly Reservation[]> {
  const own = whose === "own"
  const found: Reservation[] = []
  let after: number | undefined
  do {
    const page = await call.store.query({
      kind: capacityReservationKind.name,
      accounts: own ? [call.account] : [],
      regions: own ? [call.region] : [],
      facets: [{ name: "ended", values: ["false"] }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    found.push(...page.items.map((stored) => fromStored<CapacityReservationRecord>(stored)))
    after = page.next
  } while (after !== undefined)
  return found.filter(({ record }) => stateOf(record, call.nowMs) === "active")
}

/** One that is active, of the caller's. `name` is the parameter's, where it is missing. IncorrectState for one that is over. */
export async function requireActive(
  call: Call,
  action: string,
  id: string | undefined,
  name = "CapacityReservationId",
): Promise<Reservation> {
  const reservation = await call.require(capacityReservationKind, id, name)
  call.authorize(action, reservation)
  const state = stateOf(reservation.record, call.nowMs)
  if (state === "active") return reservation
  throw raise("IncorrectState", { detail: `The Capacity Reservation '${reservation.id}' is ${state}.` })
}

/** How many instances run in each, by id. */
export async function seatsTaken(
  call: Call,
  reservations: readonly Reservation[],
): Promise<ReadonlyMap<string, number>> {
  if (reservations.length === 0) return new Map()
  const counts = await call.store.countClaims(reservations.map(({ id }) => scopeOf(id)))
  return new Map(reservations.map(({ id }) => [id, counts.get(scopeOf(id)) ?? 0]))
}

/** What a reservation holds and nobody runs in. */
export interface Unused {
  readonly reservation: Reservation
  readonly count: number
}

export async function unusedSeats(call: Call, whose: "own" | "all"): Promise<readonly Unused[]> {
  const reservations = await activeReservations(call, whose)
  const taken = await seatsTaken(call, reservations)
  return reservations.map((reservation) => ({
    reservation,
    count: Math.max(0, reservation.record.total - (taken.get(reservation.id) ?? 0)),
  }))
}

/** What an instance has to be to run in a reservation. */
export interface Sitter {
  readonly type: string
  readonly platform?: InstanceRecord["platform"]
  readonly zone: string
}

export function suits({ record }: Reservation, { type, platform, zone }: Sitter): boolean {
  return record.type === type && record.zone === zone && record.platform === platformDetails(platform)
}

/** Free seats of one reservation, lowest number first. */
export async function freeSlots(call: Call, { id, record }: Reservation): Promise<readonly number[]> {
  const taken = new Set((await call.store.claims(scopeOf(id))).map(({ key }) => Number(key)))
  const slots: number[] = []
  for (let slot = 0; taken.size + slots.length < record.total; slot++) if (!taken.has(slot)) slots.push(slot)
  return slots
}

/** Gives seats to the instances of one call, one after the other; undefined where none is left or wanted. */
export interface Usher {
  seat(sitter: Sitter, wish: CapacityWish | undefined): Promise<Seat | undefined>
}

export function createUsher(call: Call): Usher {
  let own: readonly Reservation[] | undefined
  const free = new Map<string, number[]>()
  const slotOf = async (reservation: Reservation): Promise<number | undefined> => {
    const slots = free.get(reservation.id) ?? [...(await freeSlots(call, reservation))]
    free.set(reservation.id, slots)
    return slots.shift()
  }
  return {
    async seat(sitter, wish) {
      if (wish?.preference === "none") return undefined
      own ??= await activeReservations(call, "own")
      const wanted = own.filter((each) =>
        wish?.target === undefined ? each.record.match === "open" : each.id === wish.target,
      )
      for (const reservation of wanted.filter((each) => suits(each, sitter))) {
        const slot = await slotOf(reservation)
        if (slot === undefined) continue
        // One that is cancelled or changed meanwhile has to see this, or be seen by it.
        call.draft.expect(reservation)
        return { reservation: reservation.id, slot }
      }
      return undefined
    },
  }
}

export function takeSeat(call: Call, instance: string, { reservation, slot }: Seat): void {
  call.draft.claim(scopeOf(reservation), slot, instance)
}

/** The record of an instance that runs no longer, or outside of any reservation from now on; its seat is free with the commit. */
export function withoutSeat(call: Call, { seat, ...record }: InstanceRecord): InstanceRecord {
  if (seat !== undefined) call.draft.release(scopeOf(seat.reservation), seat.slot)
  return record
}

/** Instances that run in a reservation. */
export async function sittersOf(call: Call, reservation: string): Promise<readonly Resource<InstanceRecord>[]> {
  return call.list(instanceKind, "capacity-reservation-id", reservation)
}

/** Running instances of the caller that suit an open reservation and run in none are taken into it, as far as `slots` go. Gives how many. */
export async function seatRunning(call: Call, reservation: Reservation, slots: readonly number[]): Promise<number> {
  const page = await call.store.query({
    kind: instanceKind.name,
    accounts: [call.account],
    regions: [call.region],
    facets: [
      { name: "instance-type", values: [reservation.record.type] },
      { name: "availability-zone", values: [reservation.record.zone] },
      { name: "instance-state-name", values: ["pending", "running"] },
    ],
    limit: 1000,
  })
  const sitters = page.items
    .map((stored) => fromStored<InstanceRecord>(stored))
    .filter(({ record }) => record.seat === undefined && record.capacity === undefined && suits(reservation, record))
    .slice(0, slots.length)
  for (const [index, instance] of sitters.entries()) {
    const seat = { reservation: reservation.id, slot: slots[index] as number }
    takeSeat(call, instance.id, seat)
    call.draft.update(instanceKind, instance, { ...instance.record, seat })
  }
  return sitters.length
}
