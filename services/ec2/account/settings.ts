/** What an account has set for a whole region: defaults that launches follow. One record, read by id. */
import type { Call } from "#cloud/call.ts"
import { defineKind, type Resource, type Tagged } from "#cloud/resources/kind.ts"
import type { CpuCredits } from "../credits/families.ts"
import type { AllowedImages } from "../images/allowed.ts"

export interface SettingsRecord extends Tagged {
  /** Default credit option by family, where it was changed. */
  readonly credits: { readonly [family: string]: CpuCredits }
  /** Default metadata options; what is absent has no preference. */
  readonly metadata: MetadataDefaults
  /** Of new volumes. Absent: never set. */
  readonly encryption?: {
    readonly byDefault: boolean
    /** ARN; absent: the AWS managed key. */
    readonly key?: string
  }
  /** Whether images may be made public; absent: never set, and blocked. */
  readonly imagePublicAccess?: "block-new-sharing" | "unblocked"
  /** Absent: never set, and disabled. */
  readonly allowedImages?: AllowedImages
  /** Whether access to serial consoles is enabled; absent: never was. */
  readonly serialConsole?: boolean
  /** Values of quotas that were raised, by code. */
  readonly quotas?: { readonly [code: string]: number }
}

export interface MetadataDefaults {
  readonly tokens?: "optional" | "required"
  readonly hopLimit?: number
  readonly endpoint?: "enabled" | "disabled"
  readonly tags?: "enabled" | "disabled"
  readonly tokensEnforced?: "enabled" | "disabled"
}

const settingsKind = defineKind<SettingsRecord>({
  name: "region-settings",
  prefix: "region-settings",
  schema: 1,
  // Nobody asks for one by its id.
  notFound: ["InternalError", "The settings '{id}' do not exist"],
  malformed: ["InternalError", "The settings '{id}' do not exist"],
  facets: () => ({}),
})

const unset: SettingsRecord = { credits: {}, metadata: {}, tags: [] }
const idOf = (call: Call) => `region-settings:${call.account}:${call.region}`

export async function readSettings(call: Call): Promise<SettingsRecord> {
  return (await find(call))?.record ?? unset
}

/** Puts changed settings into the draft. A concurrent change conflicts, and the call runs again. */
export async function changeSettings(call: Call, change: (now: SettingsRecord) => SettingsRecord): Promise<void> {
  const found = await find(call)
  if (found === undefined) call.draft.create(settingsKind, change(unset), idOf(call))
  else call.draft.update(settingsKind, found, change(found.record))
}

function find(call: Call): Promise<Resource<SettingsRecord> | undefined> {
  return call.find(settingsKind, idOf(call))
}
