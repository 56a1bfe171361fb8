/** CreateLaunchTemplateVersion, DescribeLaunchTemplateVersions, DeleteLaunchTemplateVersions. */
import type { DeleteLaunchTemplateVersionsResponseErrorItem as NotDeleted } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import type { FacetMatch } from "#store/types.ts"
import { readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { aliasResolver } from "./alias.ts"
import { toVersion } from "./answer.ts"
import { basedOn, readData } from "./data.ts"
import {
  findVersions,
  type LaunchTemplate,
  type LaunchTemplateVersion,
  readNumber,
  requireTemplate,
  requireVersions,
  versionNumber,
} from "./find.ts"
import { warningOf } from "./launch.ts"
import {
  aliases,
  launchTemplateKind,
  launchTemplateVersionKind,
  type LaunchTemplateVersionRecord,
  maxTokenLength,
  rangeTerms,
  versionId,
} from "./record.ts"

/** "Restrictions for Amazon EC2 launch templates". */
const maxVersions = 10_000
const maxDescriptionLength = 255
/** Versions of one DeleteLaunchTemplateVersions, as it documents. */
const maxDeleted = 200

/** The next number, the latest from now on; the default version stays. Based on `SourceVersion` where that is given. */
const createLaunchTemplateVersion: Handler<"CreateLaunchTemplateVersion"> = async (input, call) => {
  const { ClientToken: token, DryRun: _, ...parameters } = input
  const description = readDescription(input.VersionDescription)
  const given = readData(input.LaunchTemplateData)
  const template = await requireTemplate(call, input)
  call.authorize("ec2:CreateLaunchTemplateVersion", template)
  const settings = await readSettings(call)
  const resolve = await aliasResolver(call, input.ResolveAlias)
  const show = (version: LaunchTemplateVersion) => ({
    LaunchTemplateVersion: toVersion(version, resolve(version.record.data)),
    ...warningOf(version.record.data, settings),
  })
  const earlier = await earlierResult(call, token, parameters, maxTokenLength)
  const stored = earlier === undefined ? undefined : (await call.store.getMany([earlier])).get(earlier)
  if (stored !== undefined) return show(fromStored<LaunchTemplateVersionRecord>(stored))
  await requireRoom(call, template)
  const { latestVersion, lastNumber } = template.record
  const source = input.SourceVersion ? versionNumber(template, input.SourceVersion) : undefined
  const [before, base] = await requireVersions(call, template, [latestVersion, ...(source ? [source] : [])])
  const number = lastNumber + 1
  const data = base === undefined ? given : basedOn(base.record.data, given)
  call.draft.update(launchTemplateKind, template, { ...template.record, latestVersion: number, lastNumber: number })
  if (before) call.draft.update(launchTemplateVersionKind, before, { ...before.record, isLatest: false })
  const version = draftVersion(call, template, { number, isDefault: false, ...description, data })
  rememberToken(call, token, parameters, version.id)
  await call.commit()
  return show(version)
}

async function requireRoom(call: Call, template: LaunchTemplate): Promise<void> {
  const scope = versionScope(template.id)
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxVersions)
    throw raise("ResourceLimitExceeded", { detail: `A launch template has at most ${maxVersions} versions.` })
}

/** Claims of the versions that there are, to be counted. */
export const versionScope = (template: string) => `launch-template-version:${template}`

type NewVersion = Pick<LaunchTemplateVersionRecord, "number" | "isDefault" | "description" | "data">

/** The latest version of a template, into the draft. */
export function draftVersion(call: Call, template: LaunchTemplate, made: NewVersion): LaunchTemplateVersion {
  const record = {
    template: template.id,
    name: template.record.name,
    createdMs: call.nowMs,
    createdBy: call.info.caller.arn,
    isLatest: true,
    ...made,
    tags: [],
  }
  const version = call.draft.create(launchTemplateVersionKind, record, versionId(template.id, made.number))
  call.draft.link(version.id, template.id, "owned")
  call.draft.claim(versionScope(template.id), made.number, version.id)
  return version
}

/** InvalidParameterValue for one that is too long. */
export function readDescription(text: string | undefined): { readonly description?: string } {
  if (text === undefined) return {}
  if (Array.from(text).length <= maxDescriptionLength) return { description: text }
  throw raise("InvalidParameterValue", {
    detail: `Value (${text.slice(0, maxDescriptionLength)}) for parameter VersionDescription is invalid. It has at most ${maxDescriptionLength} characters.`,
  })
}

const filterNames = [
  "create-time",
  "ebs-optimized",
  "host-resource-group-arn",
  "http-endpoint",
  "http-protocol-ipv4",
  "http-tokens",
  "iam-instance-profile",
  "image-id",
  "instance-type",
  "is-default-version",
  "kernel-id",
  "license-configuration-arn",
  "network-card-index",
  "ram-disk-id",
]

/** Versions of one template, rising; or the latest and default ones of all. A number that is missing is InvalidLaunchTemplateId.VersionNotFound. */
const describeLaunchTemplateVersions: Handler<"DescribeLaunchTemplateVersions"> = async (input, call) => {
  const page = await call.describe({
    kind: launchTemplateVersionKind,
    filterNames,
    bounds: [1, 200],
    ...asked(input),
    also: await askedVersions(call, input),
  })
  const resolve = await aliasResolver(call, input.ResolveAlias)
  const versions = page.items.map((version) => toVersion(version, resolve(version.record.data)))
  return { LaunchTemplateVersions: versions, ...nextToken(page) }
}

async function askedVersions(
  call: Call,
  input: Input<"DescribeLaunchTemplateVersions">,
): Promise<readonly FacetMatch[]> {
  const { LaunchTemplateId: id, LaunchTemplateName: name, Versions: versions = [] } = input
  const { MinVersion: min, MaxVersion: max } = input
  const isRange = min !== undefined || max !== undefined
  if (versions.length > 0 && isRange)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter LaunchTemplateVersions cannot be used with the parameters MinVersion and MaxVersion",
    })
  if (versions.length > maxDeleted)
    throw raise("InvalidParameterValue", { detail: `At most ${maxDeleted} versions can be given` })
  const known: readonly string[] = Object.values(aliases)
  if (id === undefined && name === undefined && !isRange && versions.length > 0) {
    if (versions.every((version) => known.includes(version))) return [{ name: "alias", values: versions }]
    throw raise("InvalidParameterValue", {
      detail: "Versions of all launch templates can be described by '$Latest' and '$Default' only.",
    })
  }
  const template = await requireTemplate(call, input)
  const ofTemplate = { name: "template", values: [template.id] }
  if (!isRange && versions.length === 0) return [ofTemplate]
  if (isRange) {
    const last = Math.min(max === undefined ? Infinity : readNumber(max), template.record.lastNumber)
    return [ofTemplate, { name: "number", values: rangeTerms(min === undefined ? 1 : readNumber(min), last) }]
  }
  const numbers = versions.map((version) => versionNumber(template, version))
  await requireVersions(call, template, numbers)
  return [ofTemplate, { name: "number", values: numbers.map(String) }]
}

/** Each version for itself: those that are not there, and the default one, are told and the others go. */
const deleteLaunchTemplateVersions: Handler<"DeleteLaunchTemplateVersions"> = async (input, call) => {
  const numbers = [...new Set((input.Versions ?? []).map(readNumber))]
  if (numbers.length === 0) throw raise("MissingParameter", { name: "LaunchTemplateVersion" })
  if (numbers.length > maxDeleted)
    throw raise("InvalidParameterValue", { detail: `At most ${maxDeleted} versions can be given` })
  const template = await requireTemplate(call, input)
  call.authorize("ec2:DeleteLaunchTemplateVersions", template)
  const found = await findVersions(call, template, numbers)
  const named = { LaunchTemplateId: template.id, LaunchTemplateName: template.record.name }
  const gone: number[] = []
  const kept: NotDeleted[] = []
  for (const VersionNumber of numbers) {
    const version = found.get(VersionNumber)
    const why = whyKept(template, version)
    if (version === undefined || why !== undefined) {
      kept.push({ ...named, VersionNumber, ...(why && { ResponseError: why }) })
      continue
    }
    gone.push(VersionNumber)
    call.draft.remove(version)
  }
  await moveLatest(call, template, new Set(gone))
  await call.commit()
  return {
    SuccessfullyDeletedLaunchTemplateVersions: gone.map((VersionNumber) => ({ ...named, VersionNumber })),
    UnsuccessfullyDeletedLaunchTemplateVersions: kept,
  }
}

function whyKept({ id }: LaunchTemplate, version: LaunchTemplateVersion | undefined): NotDeleted["ResponseError"] {
  if (version === undefined)
    return {
      Code: "launchTemplateVersionDoesNotExist",
      Message: `Could not find the specified version for the launch template with ID ${id}.`,
    }
  if (!version.record.isDefault) return undefined
  return {
    Code: "unexpectedError",
    Message: `The version ${version.record.number} is the default version of the launch template with ID ${id} and cannot be deleted.`,
  }
}

/** The template is changed with any of its versions, so that a default that is set meanwhile and this see each other. */
async function moveLatest(call: Call, template: LaunchTemplate, gone: ReadonlySet<number>): Promise<void> {
  if (gone.size === 0) return
  const { latestVersion } = template.record
  const latest = gone.has(latestVersion) ? await greatestBelow(call, template, gone) : undefined
  const number = latest?.record.number ?? latestVersion
  call.draft.update(launchTemplateKind, template, { ...template.record, latestVersion: number })
  if (latest) call.draft.update(launchTemplateVersionKind, latest, { ...latest.record, isLatest: true })
}

/** There is one: the default version is never deleted. */
async function greatestBelow(
  call: Call,
  template: LaunchTemplate,
  gone: ReadonlySet<number>,
): Promise<LaunchTemplateVersion | undefined> {
  const step = 500
  for (let to = template.record.latestVersion; to > 0; to -= step) {
    const numbers = Array.from({ length: Math.min(step, to) }, (_, index) => to - index)
    const found = await findVersions(
      call,
      template,
      numbers.filter((number) => !gone.has(number)),
    )
    if (found.size > 0) return found.get(Math.max(...found.keys()))
  }
  return undefined
}

export const versionHandlers = {
  CreateLaunchTemplateVersion: createLaunchTemplateVersion,
  DeleteLaunchTemplateVersions: deleteLaunchTemplateVersions,
  DescribeLaunchTemplateVersions: pure(describeLaunchTemplateVersions),
} satisfies Handlers
