/** Credit options of instances and their defaults by family. The host keeps the accounts: host/credits, by the figures in figures.ts. */
import type {
  SuccessfulInstanceCreditSpecificationItem,
  UnsuccessfulInstanceCreditSpecificationItem,
  UnlimitedSupportedInstanceFamily,
} from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { isId, type Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { changeSettings, readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { reassignGuest } from "../instances/assignment.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { defaultCredits, readCredits } from "./defaults.ts"
import { type CpuCredits, creditsOf, familyNames, isBurstable, isFamily } from "./families.ts"

const maxItems = 1000

/** One instance of the request with what becomes of it. */
type Outcome =
  | { readonly instance: Resource<InstanceRecord>; readonly id: string; readonly credits: CpuCredits | undefined }
  | { readonly id: string; readonly code: UnsuccessfulCode; readonly message: string }
type UnsuccessfulCode = NonNullable<NonNullable<UnsuccessfulInstanceCreditSpecificationItem["Error"]>["Code"]>

/** Each instance for itself: what cannot be changed is in the answer with its error, the others change in one commit. */
const modifyInstanceCreditSpecification: Handler<"ModifyInstanceCreditSpecification"> = async (input, call) => {
  const { ClientToken: token, DryRun: _, ...parameters } = input
  const wanted = readWanted(input)
  const earlier = await earlierResult(call, token, parameters)
  const found = await call.load(
    instanceKind,
    [...wanted.keys()].filter((id) => isId("i", id)),
  )
  const outcomes = [...wanted].map(([id, credits]) => outcomeOf(id, credits, found.get(id)))
  const changing = outcomes.filter((outcome) => "instance" in outcome)
  if (earlier === undefined) {
    call.authorize("ec2:ModifyInstanceCreditSpecification", ...changing.map(({ instance }) => instance))
    const settings = await readSettings(call)
    for (const { instance, credits = defaultCredits(settings, instance.record.type) } of changing)
      if (credits !== undefined) await change(call, instance, credits)
    if (changing[0] !== undefined) rememberToken(call, token, parameters, changing[0].id)
  }
  await call.commit()
  return {
    SuccessfulInstanceCreditSpecifications: changing.map(({ id }): SuccessfulInstanceCreditSpecificationItem => ({
      InstanceId: id,
    })),
    UnsuccessfulInstanceCreditSpecifications: outcomes.flatMap((outcome) =>
      "instance" in outcome
        ? []
        : [{ InstanceId: outcome.id, Error: { Code: outcome.code, Message: outcome.message } }],
    ),
  }
}

async function change(call: Call, instance: Resource<InstanceRecord>, cpuCredits: CpuCredits): Promise<void> {
  const { record } = instance
  if (record.attributes.cpuCredits === cpuCredits) return
  const attributes = { ...record.attributes, cpuCredits }
  await reassignGuest(call, call.draft.update(instanceKind, instance, { ...record, attributes }))
}

/** Instance -> option; without one the family's default. */
function readWanted(input: Input<"ModifyInstanceCreditSpecification">): ReadonlyMap<string, CpuCredits | undefined> {
  const items = input.InstanceCreditSpecifications ?? []
  if (items.length === 0) throw raise("MissingParameter", { name: "InstanceCreditSpecification" })
  if (items.length > maxItems)
    throw raise("InvalidParameterValue", { detail: `At most ${maxItems} instances can be named in one call` })
  const wanted = new Map<string, CpuCredits | undefined>()
  for (const { InstanceId: id, CpuCredits: credits } of items) {
    if (id === undefined || id === "")
      throw raise("MissingParameter", { name: "InstanceCreditSpecification.InstanceId" })
    if (wanted.has(id))
      throw raise("InvalidParameterValue", { detail: `The instance '${id}' is named more than once.` })
    wanted.set(id, credits === undefined ? undefined : readCredits(credits))
  }
  return wanted
}

function outcomeOf(
  id: string,
  credits: CpuCredits | undefined,
  instance: Resource<InstanceRecord> | undefined,
): Outcome {
  if (!isId("i", id)) return { id, code: "InvalidInstanceID.Malformed", message: `Invalid id: "${id}"` }
  if (instance === undefined)
    return { id, code: "InvalidInstanceID.NotFound", message: `The instance ID '${id}' does not exist` }
  const { state, type } = instance.record
  if (state === "shutting-down" || state === "terminated")
    return { id, code: "IncorrectInstanceState", message: `The instance '${id}' is ${state}.` }
  if (!isBurstable(type))
    return {
      id,
      code: "InstanceCreditSpecification.NotSupported",
      message: `The instance '${id}' of type ${type} is not a burstable performance instance.`,
    }
  return { id, instance, credits }
}

/** Of instances named, each; else those that are unlimited. InstanceCreditSpecification.NotSupported for one that has no option. */
const describeInstanceCreditSpecifications: Handler<"DescribeInstanceCreditSpecifications"> = async (input, call) => {
  const byIds = input.InstanceIds !== undefined && input.InstanceIds.length > 0
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    filterNames: ["instance-id"],
    ...asked(input),
    also: byIds ? [] : [{ name: "cpu-credits", values: ["unlimited"] }],
  })
  return {
    InstanceCreditSpecifications: page.items.map(({ id, record }) => {
      const credits = creditsOf(record)
      if (credits === undefined)
        throw raise("InstanceCreditSpecification.NotSupported", {
          detail: `The instance '${id}' of type ${record.type} is not a burstable performance instance.`,
        })
      return { InstanceId: id, CpuCredits: credits }
    }),
    ...nextToken(page),
  }
}

const getDefaultCreditSpecification: Handler<"GetDefaultCreditSpecification"> = async (input, call) => {
  const family = readFamily(input.InstanceFamily)
  return {
    InstanceFamilyCreditSpecification: {
      InstanceFamily: family,
      CpuCredits: defaultCredits(await readSettings(call), family),
    },
  }
}

/** For launches from now on; instances that are keep their option. */
const modifyDefaultCreditSpecification: Handler<"ModifyDefaultCreditSpecification"> = async (input, call) => {
  const family = readFamily(input.InstanceFamily)
  if (input.CpuCredits === undefined) throw raise("MissingParameter", { name: "CpuCredits" })
  const credits = readCredits(input.CpuCredits)
  call.authorize("ec2:ModifyDefaultCreditSpecification")
  await changeSettings(call, (now) => ({ ...now, credits: { ...now.credits, [family]: credits } }))
  await call.commit()
  return { InstanceFamilyCreditSpecification: { InstanceFamily: family, CpuCredits: credits } }
}

function readFamily(name: string | undefined): UnlimitedSupportedInstanceFamily {
  if (name === undefined) throw raise("MissingParameter", { name: "InstanceFamily" })
  if (isFamily(name)) return name as UnlimitedSupportedInstanceFamily
  throw raise("InvalidParameterValue", {
    detail: `Value (${name}) for parameter instanceFamily is invalid. Expected: ${familyNames.join(", ")}.`,
  })
}

export const handlers = {
  DescribeInstanceCreditSpecifications: pure(describeInstanceCreditSpecifications),
  GetDefaultCreditSpecification: pure(getDefaultCreditSpecification),
  ModifyDefaultCreditSpecification: modifyDefaultCreditSpecification,
  ModifyInstanceCreditSpecification: modifyInstanceCreditSpecification,
} satisfies Handlers
