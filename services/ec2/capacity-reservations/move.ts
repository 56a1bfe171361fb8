/**
 * Room that goes from one reservation to another, of the same account, with nobody stopped: MoveCapacityReservationInstances and
 * CreateCapacityReservationBySplitting. What nobody runs in goes first, then instances that run in it and asked for no reservation by name, between
 * open reservations only ("Move capacity between Capacity Reservations"). What both hold together stays the same, so that neither needs room.
 */
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { newId } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { instanceKind } from "../instances/record.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toReservation } from "./answer.ts"
import { readCount } from "./read.ts"
import { capacityReservationKind, type CapacityReservationRecord } from "./record.ts"
import { freeSlots, requireActive, type Reservation, seatsTaken, sittersOf, takeSeat, withoutSeat } from "./seats.ts"

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

export const createCapacityReservationBySplitting: Handler<"CreateCapacityReservationBySplitting"> = async (
  input,
  call,
) => {
  const tags = tagsFor(input.TagSpecifications, "capacity-reservation")
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return shownBoth(call, input.SourceCapacityReservationId, earlier, input.InstanceCount)
  const action = "ec2:CreateCapacityReservationBySplitting"
  const count = readWanted(input.InstanceCount)
  const source = await requireActive(call, action, input.SourceCapacityReservationId, "SourceCapacityReservationId")
  if (count >= source.record.total)
    throw invalid(
      `The Capacity Reservation '${source.id}' holds ${source.record.total} instances: at most ${source.record.total - 1} can be split off.`,
    )
  const record = { ...source.record, total: 0, createdMs: call.nowMs, tags }
  const made = call.draft.create(capacityReservationKind, record, newId(capacityReservationKind.prefix))
  const answer = await move(call, source, made, count)
  rememberToken(call, token, parameters, made.id)
  await call.commit()
  return answer
}

/** A source that nothing is left of is cancelled. */
export const moveCapacityReservationInstances: Handler<"MoveCapacityReservationInstances"> = async (input, call) => {
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const { SourceCapacityReservationId: from, DestinationCapacityReservationId: to } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return shownBoth(call, from, earlier, input.InstanceCount)
  const action = "ec2:MoveCapacityReservationInstances"
  const count = readWanted(input.InstanceCount)
  const source = await requireActive(call, action, from, "SourceCapacityReservationId")
  const destination = await requireActive(call, action, to, "DestinationCapacityReservationId")
  requireAlike(source, destination)
  const answer = await move(call, source, destination, count)
  rememberToken(call, token, parameters, destination.id)
  await call.commit()
  return answer
}

function readWanted(count: number | undefined): number {
  if (count === undefined) throw raise("MissingParameter", { name: "InstanceCount" })
  return readCount(count)
}

const alike = { type: "instance type", platform: "platform", zone: "Availability Zone", endMs: "end time" } as const

function requireAlike(source: Reservation, destination: Reservation): void {
  if (source.id === destination.id) throw invalid("The source and the destination Capacity Reservation are the same.")
  for (const key of Object.keys(alike) as (keyof typeof alike)[])
    if (source.record[key] !== destination.record[key])
      throw invalid(
        `The Capacity Reservations '${source.id}' and '${destination.id}' have to have the same ${alike[key]}.`,
      )
}

/** Puts both, and the instances that go along, into the draft. `to` may be new. Throws where less than `count` can go. */
async function move(call: Call, from: Reservation, to: Reservation, count: number) {
  const taken = await seatsTaken(call, [from, to])
  const takenOf = ({ id }: Reservation) => taken.get(id) ?? 0
  const running = Math.max(0, count - Math.max(0, from.record.total - takenOf(from)))
  const bothOpen = from.record.match === "open" && to.record.match === "open"
  const sitters = running > 0 && bothOpen ? await sittersOf(call, from.id) : []
  const going = sitters.filter(({ record }) => record.capacity === undefined).slice(0, running)
  if (going.length < running)
    throw invalid(
      `Of the Capacity Reservation '${from.id}' ${count - running + going.length} instances can be moved: ${count} were asked for.`,
    )
  const total = readCount(to.record.total + count)
  const grown = call.draft.update(capacityReservationKind, to, { ...to.record, total })
  const slots = going.length === 0 ? [] : await freeSlots(call, grown)
  for (const [index, instance] of going.entries()) {
    const seat = { reservation: grown.id, slot: slots[index] as number }
    const record = withoutSeat(call, instance.record)
    takeSeat(call, instance.id, seat)
    call.draft.update(instanceKind, instance, { ...record, seat })
  }
  const shrunk = call.draft.update(capacityReservationKind, from, lessened(from.record, count, call.nowMs))
  return {
    SourceCapacityReservation: toReservation(shrunk, takenOf(from) - going.length, call.nowMs),
    DestinationCapacityReservation: toReservation(grown, takenOf(to) + going.length, call.nowMs),
    InstanceCount: count,
  }
}

function lessened(record: CapacityReservationRecord, count: number, nowMs: number): CapacityReservationRecord {
  const less = { ...record, total: record.total - count }
  return less.total > 0 ? less : { ...less, ended: { state: "cancelled", atMs: nowMs } }
}

/** The answer to a call that was carried out already, with what has become of both since. */
async function shownBoth(call: Call, from: string | undefined, to: string, InstanceCount: number | undefined) {
  const [source, destination] = await call.requireMany(capacityReservationKind, [from ?? "", to])
  const shown = async (reservation: Reservation) =>
    toReservation(reservation, (await seatsTaken(call, [reservation])).get(reservation.id) ?? 0, call.nowMs)
  return {
    ...(source && { SourceCapacityReservation: await shown(source) }),
    ...(destination && { DestinationCapacityReservation: await shown(destination) }),
    InstanceCount,
  }
}
