/**
 * EnableFastLaunch, DisableFastLaunch, DescribeFastLaunchImages. EC2 has it for images of Windows; here it is for images whose guests have
 * Fractus' agent, and what is provisioned ahead is a warm template for the launch template's type, or for a small one.
 */
import type { _InstanceType, EnableFastLaunchResult } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { notFound, requireId, type Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { requireImages } from "../images/find.ts"
import { type ImageRecord, imageKind } from "../images/record.ts"
import { readSettings } from "../account/settings.ts"
import { findMachine } from "../instances/launch/place.ts"
import { readLaunch } from "../instances/launch/wish.ts"
import { findLaunchTemplate, withTemplate } from "../launch-templates/launch.ts"
import type { TemplateData } from "../launch-templates/data.ts"
import { requireTemplate } from "../launch-templates/find.ts"
import { type FastLaunchRecord, fastLaunchKind } from "./record.ts"
import { bootsFor, contentOf } from "./content.ts"
import { removeFastLaunch, scopeOf } from "./remove.ts"

/** The type that a launch is fast for where no launch template names one. EC2 takes a small type of its own choice there. */
const smallTypes: Readonly<Record<string, _InstanceType>> = { arm64: "t4g.micro" }
const smallType: _InstanceType = "t3.micro"
/** What EC2 says of a state that a call asked for. */
const userInitiated = "Client.UserInitiated"
const [fewestLaunches, defaultResources] = [6, 5]
const largest = 1_000
const maxPerRegion = 100

/** On for an image that has it, its settings are changed, and what failed is tried again. */
const enableFastLaunch: Handler<"EnableFastLaunch"> = async (input, call) => {
  const settings = readCounts(input)
  const image = await requireImage(call, input.ImageId)
  const template = await findTemplate(call, input.LaunchTemplate)
  const machine = await machineOf(call, image, template?.data)
  call.authorize("ec2:EnableFastLaunch")
  const before = await findFastLaunch(call, image.id)
  const state = before?.record.state
  if (state === "disabling" || state === "disabling-failed")
    throw raise("IncorrectState", { detail: `Fast launch of the image '${image.id}' is ${state}` })
  const record: FastLaunchRecord = {
    image: image.id,
    imageOwner: image.account,
    tags: before?.record.tags ?? [],
    ...settings,
    ...(template && { launchTemplate: template.shown }),
    ...(before && (state === "enabled" || state === "enabling") ? stateOf(before.record) : begun(call)),
  }
  const enabled = before ? call.draft.update(fastLaunchKind, before, record) : await create(call, record)
  call.draft.assign(localHost, enabled.id, { kind: "template", ...contentOf(image), ...machine, ...poolOf(input) })
  await call.commit()
  return toFastLaunch(enabled)
}

const stateOf = ({ state, reason, changedMs }: FastLaunchRecord) => ({ state, reason, changedMs })
const begun = ({ nowMs }: Call) => ({ state: "enabling", reason: userInitiated, changedMs: nowMs }) as const

/** Clones wait where a call says how many: EC2's default, 5, would take 5 GiB of a small host by surprise. */
function poolOf({ SnapshotConfiguration: snapshots }: Input<"EnableFastLaunch">): { readonly pool?: number } {
  const pool = snapshots?.TargetResourceCount
  return pool === undefined ? {} : { pool }
}

/** The version that is meant now: what comes after "$Latest" is that of another call. */
async function findTemplate(call: Call, asked: Input<"EnableFastLaunch">["LaunchTemplate"]) {
  const version = await findLaunchTemplate(call, asked)
  if (asked === undefined || version === undefined) return undefined
  const { id, record } = await requireTemplate(call, asked)
  return { data: version.record.data, shown: { id, name: record.name, version: version.record.number } }
}

/**
 * The machine that launches of the image are fast for: a template's type, CPU options and size of the root volume. What a launch from the template
 * would be refused for, it is refused for here.
 */
async function machineOf(call: Call, image: Resource<ImageRecord>, data: TemplateData | undefined) {
  const { architecture, rootDeviceName, rootSizeGiB } = image.record
  const one = { ImageId: image.id, MinCount: 1, MaxCount: 1 }
  const type = data?.InstanceType ?? smallTypes[architecture] ?? smallType
  const wish = readLaunch({ ...withTemplate(one, data ?? {}), InstanceType: type }, await readSettings(call))
  const { vcpus, memoryMiB } = findMachine(call, wish.type, image, wish.cpu)
  const sizeGiB = wish.devices.find(({ device }) => device === rootDeviceName)?.sizeGiB ?? rootSizeGiB
  const isLarger = sizeGiB > rootSizeGiB || image.record.devices !== undefined
  return { vcpus, memoryMiB, ...(isLarger && { sizeBytes: sizeGiB * 2 ** 30 }) }
}

async function create(call: Call, record: FastLaunchRecord): Promise<Resource<FastLaunchRecord>> {
  const scope = scopeOf(call)
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion)
    throw raise("InvalidRequest", { detail: `At most ${maxPerRegion} images of a Region can have fast launch` })
  const made = call.draft.create(fastLaunchKind, record)
  call.draft.claim(scope, record.image, made.id)
  return made
}

/** `Force` does not wait until the host has removed what it had. */
const disableFastLaunch: Handler<"DisableFastLaunch"> = async (input, call) => {
  const id = requireImageId(input.ImageId)
  const before = await findFastLaunch(call, id)
  if (before === undefined) {
    await requireImage(call, id)
    throw raise("InvalidRequest", { detail: `Fast launch is not enabled for the image '${id}'` })
  }
  call.authorize("ec2:DisableFastLaunch", before)
  const disabling = { ...before.record, state: "disabling", reason: userInitiated, changedMs: call.nowMs } as const
  call.draft.unassign(localHost, before.id)
  if (input.Force === true) {
    removeFastLaunch(call, before)
    await call.commit()
    return toFastLaunch({ ...before, record: disabling })
  }
  const changed = before.record.state === "disabling" ? before : call.draft.update(fastLaunchKind, before, disabling)
  await call.commit()
  return toFastLaunch(changed)
}

const filterNames = ["owner-id", "resource-type", "state"]

/** Images without fast launch are left out, also where they are named. */
const describeFastLaunchImages: Handler<"DescribeFastLaunchImages"> = async (input, call) => {
  const ids = [...new Set(input.ImageIds ?? [])]
  if (ids.length > 0 && input.MaxResults !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter imageIdsSet cannot be used with the parameter maxResults",
    })
  for (const id of ids) requireId(imageKind, id)
  if (ids.length > 0) await requireImages(call, ids)
  const page = await call.describe({
    kind: fastLaunchKind,
    filterNames,
    bounds: [1, 200],
    ...asked(input),
    also: ids.length === 0 ? [] : [{ name: "image-id", values: ids }],
  })
  return { FastLaunchImages: page.items.map(toFastLaunch), ...nextToken(page) }
}

function readCounts(input: Input<"EnableFastLaunch">) {
  const { ResourceType: type = "snapshot", SnapshotConfiguration: snapshots } = input
  if (type !== "snapshot")
    throw raise("InvalidParameterValue", {
      detail: `Value (${type.slice(0, 255)}) for parameter ResourceType is invalid.`,
    })
  return {
    maxParallelLaunches: within("MaxParallelLaunches", input.MaxParallelLaunches, fewestLaunches, fewestLaunches),
    targetResourceCount: within("TargetResourceCount", snapshots?.TargetResourceCount, 1, defaultResources),
  }
}

function within(name: string, value: number | undefined, least: number, usual: number): number {
  if (value === undefined) return usual
  if (value >= least && value <= largest) return value
  throw raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter ${name} is invalid. It must be between ${least} and ${largest}.`,
  })
}

async function findFastLaunch(call: Call, image: string): Promise<Resource<FastLaunchRecord> | undefined> {
  return (await call.list(fastLaunchKind, "image-id", image))[0]
}

function requireImageId(id: string | undefined): string {
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "ImageId" })
  requireId(imageKind, id)
  return id
}

/** InvalidAMIID.Malformed, InvalidAMIID.NotFound, InvalidAMIID.Unavailable. */
async function requireImage(call: Call, given: string | undefined): Promise<Resource<ImageRecord>> {
  const id = requireImageId(given)
  const [image] = await requireImages(call, [id])
  if (image === undefined) throw notFound(imageKind, id)
  const { state } = image.record
  if (state !== "available") throw raise("InvalidAMIID.Unavailable", { id, state })
  const why = bootsFor(image.record)
  if (why !== undefined) throw raise("UnsupportedOperation", { operation: `EnableFastLaunch of ${why}` })
  return image
}

function toFastLaunch({ record }: Resource<FastLaunchRecord>): EnableFastLaunchResult {
  return {
    ImageId: record.image,
    ResourceType: "snapshot",
    SnapshotConfiguration: { TargetResourceCount: record.targetResourceCount },
    MaxParallelLaunches: record.maxParallelLaunches,
    ...(record.launchTemplate && { LaunchTemplate: toTemplate(record.launchTemplate) }),
    OwnerId: record.imageOwner,
    State: record.state,
    StateTransitionReason: record.reason,
    StateTransitionTime: new Date(record.changedMs),
  }
}

const toTemplate = ({ id, name, version }: NonNullable<FastLaunchRecord["launchTemplate"]>) => ({
  LaunchTemplateId: id,
  LaunchTemplateName: name,
  Version: String(version),
})

export const handlers = {
  DescribeFastLaunchImages: pure(describeFastLaunchImages),
  DisableFastLaunch: disableFastLaunch,
  EnableFastLaunch: enableFastLaunch,
} satisfies Handlers
