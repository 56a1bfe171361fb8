/** Launch templates by id or by name, and their versions by number or as "$Latest" and "$Default". */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import {
  aliases,
  type LaunchTemplateRecord,
  launchTemplateKind,
  type LaunchTemplateVersionRecord,
  versionId,
} from "./record.ts"

/** How requests name a template: exactly one of the two. */
export interface NamedTemplate {
  readonly LaunchTemplateId?: string | undefined
  readonly LaunchTemplateName?: string | undefined
}

export type LaunchTemplate = Resource<LaunchTemplateRecord>
export type LaunchTemplateVersion = Resource<LaunchTemplateVersionRecord>

/** InvalidLaunchTemplateId.Malformed or .NotFound; InvalidLaunchTemplateName.MalformedException or .NotFoundException. */
export async function requireTemplate(call: Call, named: NamedTemplate): Promise<LaunchTemplate> {
  const { LaunchTemplateId: id, LaunchTemplateName: name } = named
  if (id === undefined && name === undefined)
    throw raise("MissingParameter", { name: "LaunchTemplateId or LaunchTemplateName" })
  if (id !== undefined && name !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter LaunchTemplateId cannot be used with the parameter LaunchTemplateName",
    })
  if (name === undefined) return call.require(launchTemplateKind, id)
  const [found] = await templatesNamed(call, [name])
  return found as LaunchTemplate
}

/** All of these names, each once, or InvalidLaunchTemplateName.NotFoundException for the first that is missing. */
export async function templatesNamed(call: Call, names: readonly string[]): Promise<readonly LaunchTemplate[]> {
  const unique = [...new Set(names.map(readName))]
  if (unique.length > 200) throw raise("InvalidParameterValue", { detail: "At most 200 names can be given" })
  const found = await call.list(launchTemplateKind, "launch-template-name", ...unique)
  return unique.map((name) => {
    const template = found.find((each) => each.record.name === name)
    if (template === undefined) throw raise("InvalidLaunchTemplateName.NotFoundException", { name })
    return template
  })
}

/** 3 to 128 letters, digits and - ( ) . / _. InvalidLaunchTemplateName.MalformedException. */
export function readName(name: string | undefined): string {
  if (name === undefined) throw raise("MissingParameter", { name: "LaunchTemplateName" })
  if (!/^[a-zA-Z0-9().\-/_]{3,128}$/.test(name)) throw raise("InvalidLaunchTemplateName.MalformedException")
  return name
}

/** The number that a version of this template is meant by; nothing, and "$Default", is the default one. InvalidParameterValue for what is none. */
export function versionNumber({ record }: LaunchTemplate, version: string | undefined): number {
  if (version === undefined || version === "" || version === aliases.default) return record.defaultVersion
  return version === aliases.latest ? record.latestVersion : readNumber(version)
}

/** A version's number in a request, of at most ten digits. */
export function readNumber(version: string): number {
  if (/^[1-9]\d{0,9}$/.test(version)) return Number(version)
  throw raise("InvalidParameterValue", {
    detail: "Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.",
  })
}

/** The versions with these numbers, in their order. InvalidLaunchTemplateId.VersionNotFound for the first that is missing. */
export async function requireVersions(
  call: Call,
  template: LaunchTemplate,
  numbers: readonly number[],
): Promise<readonly LaunchTemplateVersion[]> {
  const found = await findVersions(call, template, numbers)
  return numbers.map((number) => {
    const version = found.get(number)
    if (version === undefined)
      throw raise("InvalidLaunchTemplateId.VersionNotFound", { version: number, id: template.id })
    return version
  })
}

/** Those of the versions that there are, by number. */
export async function findVersions(
  call: Call,
  template: LaunchTemplate,
  numbers: readonly number[],
): Promise<ReadonlyMap<number, LaunchTemplateVersion>> {
  const stored = await call.store.getMany(numbers.map((number) => versionId(template.id, number)))
  const versions = [...stored.values()].map((each) => fromStored<LaunchTemplateVersionRecord>(each))
  return new Map(versions.map((version) => [version.record.number, version]))
}
