/** Which of a launch's volumes are encrypted, and with what. Every instance type of AWS's facts takes encrypted volumes. */
import type { Call } from "#cloud/call.ts"
import type { SettingsRecord } from "../account/settings.ts"
import { raise } from "../errors.ts"
import { findKey, type KmsKey, managedAlias } from "./keys.ts"

export interface EncryptionWish {
  readonly encrypted?: boolean
  readonly kmsKey?: string
}

/**
 * The key of one volume; undefined: it is not encrypted. With encryption by default a volume is encrypted also where a request says
 * that it should not be: "you cannot disable it for individual volumes". A key alone asks for nothing: InvalidParameterDependency.
 */
export function volumeKey(call: Call, wish: EncryptionWish, settings: SettingsRecord): KmsKey | undefined {
  const { byDefault = false, key } = settings.encryption ?? {}
  if (wish.kmsKey !== undefined && wish.encrypted !== true)
    throw raise("InvalidParameterDependency", {
      detail: "The parameter KmsKeyId requires the parameter Encrypted to be set.",
    })
  if (wish.encrypted !== true && !byDefault) return undefined
  return findKey(call, wish.kmsKey ?? key ?? managedAlias)
}
