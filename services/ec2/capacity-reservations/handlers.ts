/**
 * Capacity reservations, for immediate use. A reservation takes the host's room at once, or is refused with InsufficientInstanceCapacity; what
 * it holds and nobody runs in is no room for others, of whatever account.
 */
import { type Call, type Cloud, runCall } from "#cloud/call.ts"
import { fits, pageOf } from "#cloud/resources/describe.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { fromStored, newId, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { requireStopped } from "../instances/attributes/modify.ts"
import { roomFor } from "../instances/launch/capacity.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { tagsFor } from "../tags/specifications.ts"
import { countsOf, toReservation } from "./answer.ts"
import { createCapacityReservationBySplitting, moveCapacityReservationInstances } from "./move.ts"
import { readChange, readReservation } from "./read.ts"
import { type CapacityReservationRecord, capacityReservationKind, stateOf } from "./record.ts"
import { freeSlots, requireActive, type Reservation, seatRunning, seatsTaken, sittersOf, withoutSeat } from "./seats.ts"
import { readCapacityWish, requireTarget } from "./wish.ts"

const createCapacityReservation: Handler<"CreateCapacityReservation"> = async (input, call) => {
  const tags = tagsFor(input.TagSpecifications, "capacity-reservation")
  const wanted = readReservation(input, call)
  const { ClientToken: token, DryRun: _dryRun, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return { CapacityReservation: await shown(call, earlier) }
  call.authorize("ec2:CreateCapacityReservation")
  const draft = { id: newId(capacityReservationKind.prefix), record: { ...wanted, tags } }
  const reservation = call.draft.create(capacityReservationKind, draft.record, draft.id)
  const taken = await fill(call, reservation, 0)
  rememberToken(call, token, parameters, reservation.id)
  await call.commit()
  return { CapacityReservation: toReservation(reservation, taken, call.nowMs) }
}

/**
 * Takes what runs already and suits an open reservation into it, and finds room for the rest. `had`: seats that hold room already. Gives how
 * many instances came in. Throws InsufficientInstanceCapacity, VcpuLimitExceeded.
 */
async function fill(call: Call, reservation: Reservation, had: number): Promise<number> {
  const { record } = reservation
  const came = record.match === "open" ? await seatRunning(call, reservation, await freeSlots(call, reservation)) : 0
  const more = record.total - had - came
  const machine = {
    name: record.type,
    vcpus: record.vcpus,
    memoryMiB: record.memoryMiB,
    architecture: "x86_64",
  } as const
  if (more > 0) await roomFor(call, machine, { min: more, max: more }, record.zone)
  return came
}

const modifyCapacityReservation: Handler<"ModifyCapacityReservation"> = async (input, call) => {
  const reservation = await requireActive(call, "ec2:ModifyCapacityReservation", input.CapacityReservationId)
  const record = readChange(input, reservation.record, call.nowMs)
  const taken = (await seatsTaken(call, [reservation])).get(reservation.id) ?? 0
  if (record.total < taken)
    throw raise("InvalidParameterValue", {
      detail: `The Capacity Reservation '${reservation.id}' has ${taken} instances running in it: InstanceCount cannot be ${record.total}.`,
    })
  if (record.match !== reservation.record.match && taken > 0)
    throw raise("IncorrectState", {
      detail: `The Capacity Reservation '${reservation.id}' has instances running in it: its InstanceMatchCriteria cannot be changed.`,
    })
  const changed = call.draft.update(capacityReservationKind, reservation, record)
  const grows = record.total > reservation.record.total
  if (grows || record.match !== reservation.record.match) await fill(call, changed, reservation.record.total)
  await call.commit()
  return { Return: true }
}

const cancelCapacityReservation: Handler<"CancelCapacityReservation"> = async (input, call) => {
  const reservation = await requireActive(call, "ec2:CancelCapacityReservation", input.CapacityReservationId)
  await end(call, reservation, "cancelled")
  await call.commit()
  return { Return: true }
}

/** Its instances run on, in no reservation. */
async function end(call: Call, reservation: Reservation, state: "cancelled" | "expired"): Promise<void> {
  const ended = { state, atMs: call.nowMs }
  call.draft.update(capacityReservationKind, reservation, { ...reservation.record, ended })
  for (const instance of await sittersOf(call, reservation.id))
    call.draft.update(instanceKind, instance, withoutSeat(call, instance.record))
}

const filterNames = [
  "availability-zone",
  "availability-zone-id",
  "end-date",
  "end-date-type",
  "instance-match-criteria",
  "instance-platform",
  "instance-type",
  "outpost-arn",
  "owner-id",
  "placement-group-arn",
  "start-date",
  "state",
  "tenancy",
]

const describeCapacityReservations: Handler<"DescribeCapacityReservations"> = async (input, call) => {
  const page = await call.describe({
    kind: capacityReservationKind,
    ids: input.CapacityReservationIds,
    filterNames,
    computed: ["state"],
    bounds: [1, 1000],
    ...asked(input),
  })
  const found = page.items.filter(({ record }) => fits(page.remaining, () => [stateOf(record, call.nowMs)]))
  const taken = await seatsTaken(call, found)
  return {
    CapacityReservations: found.map((each) => toReservation(each, taken.get(each.id) ?? 0, call.nowMs)),
    ...nextToken(page),
  }
}

async function shown(call: Call, id: string) {
  const reservation = await call.require(capacityReservationKind, id)
  const taken = await seatsTaken(call, [reservation])
  return toReservation(reservation, taken.get(id) ?? 0, call.nowMs)
}

const getCapacityReservationUsage: Handler<"GetCapacityReservationUsage"> = async (input, call) => {
  const { id, record } = await call.require(
    capacityReservationKind,
    input.CapacityReservationId,
    "CapacityReservationId",
  )
  const taken = (await seatsTaken(call, [{ id, record } as Reservation])).get(id) ?? 0
  const state = stateOf(record, call.nowMs)
  // Reservations are not shared, so that there is one user at most.
  const users = taken === 0 ? [] : [{ AccountId: call.account, UsedInstanceCount: taken }]
  const wanted = { maxResults: input.MaxResults, nextToken: input.NextToken, bounds: [1, 1000] } as const
  const page = pageOf(users, wanted, "usage", id)
  return {
    CapacityReservationId: id,
    InstanceType: record.type,
    ...countsOf(record.total, taken, state),
    State: state,
    InstanceUsages: [...page.items],
    ...nextToken(page),
  }
}

/** Of a stopped instance, for its next start. */
const modifyInstanceCapacityReservationAttributes: Handler<"ModifyInstanceCapacityReservationAttributes"> = async (
  input,
  call,
) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceCapacityReservationAttributes", instance)
  if (input.CapacityReservationSpecification === undefined)
    throw raise("MissingParameter", { name: "CapacityReservationSpecification" })
  const wish = readCapacityWish(input.CapacityReservationSpecification)
  requireStopped(instance)
  await requireTarget(call, wish, instance.record)
  const { capacity: _, ...record } = instance.record
  call.draft.update(instanceKind, instance, { ...record, ...(wish && { capacity: wish }) } satisfies InstanceRecord)
  await call.commit()
  return { Return: true }
}

/** How long one that is over can still be seen, as terminated instances are. */
const seenMs = 3_600_000

/** Ends what is over by the clock, and forgets what ended long ago. */
export async function sweepCapacityReservations(cloud: Cloud): Promise<void> {
  const nowMs = cloud.clock.cloudMs()
  let after: number | undefined
  do {
    const limits = { limit: 1000, ...(after === undefined ? {} : { after }) }
    const page = await cloud.store.query({ kind: capacityReservationKind.name, accounts: [], regions: [], ...limits })
    for (const stored of page.items) {
      const reservation = fromStored<CapacityReservationRecord>(stored)
      const { ended } = reservation.record
      const isOver = ended === undefined && stateOf(reservation.record, nowMs) === "expired"
      if (isOver || (ended !== undefined && nowMs - ended.atMs >= seenMs)) await sweepOne(cloud, reservation)
    }
    after = page.next
  } while (after !== undefined)
}

async function sweepOne(cloud: Cloud, { id, account, region }: Resource): Promise<void> {
  const caller = { account, arn: `arn:aws:iam::${account}:root`, userId: account }
  const info = { requestId: `swept-${id}`, operation: "Sweep", region, caller }
  await runCall(cloud, info, false, async (call) => {
    const reservation = await call.find(capacityReservationKind, id)
    if (reservation === undefined) return
    if (reservation.record.ended === undefined) await end(call, reservation, "expired")
    else call.draft.remove(reservation)
    await call.commit()
  })
}

export const handlers = {
  CancelCapacityReservation: cancelCapacityReservation,
  CreateCapacityReservation: createCapacityReservation,
  CreateCapacityReservationBySplitting: createCapacityReservationBySplitting,
  DescribeCapacityReservations: describeCapacityReservations,
  GetCapacityReservationUsage: getCapacityReservationUsage,
  ModifyCapacityReservation: modifyCapacityReservation,
  ModifyInstanceCapacityReservationAttributes: modifyInstanceCapacityReservationAttributes,
  MoveCapacityReservationInstances: moveCapacityReservationInstances,
} satisfies Handlers
