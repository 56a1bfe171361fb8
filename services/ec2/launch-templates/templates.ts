/** CreateLaunchTemplate, DescribeLaunchTemplates, ModifyLaunchTemplate, DeleteLaunchTemplate. */
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import { pure } from "#cloud/service.ts"
import { readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toTemplate } from "./answer.ts"
import { readData } from "./data.ts"
import { readName, requireTemplate, requireVersions, templatesNamed, versionNumber } from "./find.ts"
import { warningOf } from "./launch.ts"
import { launchTemplateKind, launchTemplateVersionKind, maxTokenLength, nameScope } from "./record.ts"
import { draftVersion, readDescription } from "./versions.ts"

/** "Restrictions for Amazon EC2 launch templates". */
const maxPerRegion = 5000

/** Its first version is the default one. InvalidLaunchTemplateName.AlreadyExistsException. */
const createLaunchTemplate: Handler<"CreateLaunchTemplate"> = async (input, call) => {
  const { ClientToken: token, DryRun: _, ...parameters } = input
  const name = readName(input.LaunchTemplateName)
  const description = readDescription(input.VersionDescription)
  if (input.Operator !== undefined)
    throw raise("UnsupportedOperation", { operation: "CreateLaunchTemplate with Operator" })
  const tags = tagsFor(input.TagSpecifications, "launch-template")
  const data = readData(input.LaunchTemplateData)
  const warning = warningOf(data, await readSettings(call))
  const earlier = await earlierResult(call, token, parameters, maxTokenLength)
  if (earlier !== undefined)
    return { LaunchTemplate: toTemplate(await call.require(launchTemplateKind, earlier)), ...warning }
  await requireRoomFor(call, name)
  const template = call.draft.create(launchTemplateKind, {
    name,
    createdMs: call.nowMs,
    createdBy: call.info.caller.arn,
    defaultVersion: 1,
    latestVersion: 1,
    lastNumber: 1,
    tags,
  })
  call.draft.claim(nameScope(call), name, template.id)
  draftVersion(call, template, { number: 1, isDefault: true, ...description, data })
  rememberToken(call, token, parameters, template.id)
  await call.commit()
  return { LaunchTemplate: toTemplate(template), ...warning }
}

async function requireRoomFor(call: Call, name: string): Promise<void> {
  const scope = nameScope(call)
  if ((await call.store.claims(scope, [name])).length > 0)
    throw raise("InvalidLaunchTemplateName.AlreadyExistsException")
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion)
    throw raise("ResourceLimitExceeded", { detail: `A Region has at most ${maxPerRegion} launch templates.` })
}

/** A name that is missing is refused, as an id is. */
const describeLaunchTemplates: Handler<"DescribeLaunchTemplates"> = async (input, call) => {
  const names = input.LaunchTemplateNames ?? []
  if (names.length > 0) await templatesNamed(call, names)
  const page = await call.describe({
    kind: launchTemplateKind,
    ids: input.LaunchTemplateIds,
    filterNames: ["create-time", "launch-template-name"],
    bounds: [1, 200],
    ...asked(input),
    also: names.length === 0 ? [] : [{ name: "launch-template-name", values: names }],
  })
  return { LaunchTemplates: page.items.map(toTemplate), ...nextToken(page) }
}

/** Another default version. InvalidLaunchTemplateId.VersionNotFound. */
const modifyLaunchTemplate: Handler<"ModifyLaunchTemplate"> = async (input, call) => {
  const { ClientToken: token, DryRun: _, ...parameters } = input
  const template = await requireTemplate(call, input)
  call.authorize("ec2:ModifyLaunchTemplate", template)
  if (input.DefaultVersion === undefined || input.DefaultVersion === "")
    throw raise("MissingParameter", { name: "DefaultVersion" })
  if ((await earlierResult(call, token, parameters, maxTokenLength)) !== undefined)
    return { LaunchTemplate: toTemplate(template) }
  const { defaultVersion: before } = template.record
  const after = versionNumber(template, input.DefaultVersion)
  const [old, wanted] = await requireVersions(call, template, [before, after])
  const changed = call.draft.update(launchTemplateKind, template, { ...template.record, defaultVersion: after })
  if (old && wanted && old.id !== wanted.id) {
    call.draft.update(launchTemplateVersionKind, old, { ...old.record, isDefault: false })
    call.draft.update(launchTemplateVersionKind, wanted, { ...wanted.record, isDefault: true })
  }
  rememberToken(call, token, parameters, template.id)
  await call.commit()
  return { LaunchTemplate: toTemplate(changed) }
}

/** With all its versions. Instances that were launched from it stay. */
const deleteLaunchTemplate: Handler<"DeleteLaunchTemplate"> = async (input, call) => {
  const template = await requireTemplate(call, input)
  call.authorize("ec2:DeleteLaunchTemplate", template)
  call.draft.remove(template)
  await call.commit()
  return { LaunchTemplate: toTemplate(template) }
}

export const templateHandlers = {
  CreateLaunchTemplate: createLaunchTemplate,
  DeleteLaunchTemplate: deleteLaunchTemplate,
  DescribeLaunchTemplates: pure(describeLaunchTemplates),
  ModifyLaunchTemplate: modifyLaunchTemplate,
} satisfies Handlers
