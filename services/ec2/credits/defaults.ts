/** Which credit option a new or changed instance gets, and how a request spells it. */
import type { SettingsRecord } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { type CpuCredits, familyOf, initialCredits } from "./families.ts"

/** The account's default for the type's family. Undefined for a type that is not burstable. */
export function defaultCredits(settings: SettingsRecord, type: string): CpuCredits | undefined {
  const family = familyOf(type)
  return Object.hasOwn(settings.credits, family) ? settings.credits[family] : initialCredits(family)
}

/** InvalidParameterValue for anything but the two options. */
export function readCredits(value: string): CpuCredits {
  if (value === "standard" || value === "unlimited") return value
  throw raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter cpuCredits is invalid. Expected: standard, unlimited.`,
  })
}
