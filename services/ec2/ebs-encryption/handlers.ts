/** Encryption of an account's new volumes by default, and its default key, by region ("Amazon EBS encryption"). */
import { pure } from "#cloud/service.ts"
import type { Call } from "#cloud/call.ts"
import { changeSettings, readSettings, type SettingsRecord } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { findKey, managedAlias, managedKey } from "./keys.ts"

const getEbsEncryptionByDefault: Handler<"GetEbsEncryptionByDefault"> = async (_input, call) => {
  const byDefault = (await readSettings(call)).encryption?.byDefault ?? false
  return { EbsEncryptionByDefault: byDefault, SseType: byDefault ? "sse-kms" : "none" }
}

const enableEbsEncryptionByDefault: Handler<"EnableEbsEncryptionByDefault"> = async (_input, call) => {
  await change(call, "EnableEbsEncryptionByDefault", { byDefault: true })
  return { EbsEncryptionByDefault: true }
}

const disableEbsEncryptionByDefault: Handler<"DisableEbsEncryptionByDefault"> = async (_input, call) => {
  await change(call, "DisableEbsEncryptionByDefault", { byDefault: false })
  return { EbsEncryptionByDefault: false }
}

/** The managed key is shown by its alias, a key that was chosen by its ARN. */
const getEbsDefaultKmsKeyId: Handler<"GetEbsDefaultKmsKeyId"> = async (_input, call) => ({
  KmsKeyId: (await readSettings(call)).encryption?.key ?? managedAlias,
})

const modifyEbsDefaultKmsKeyId: Handler<"ModifyEbsDefaultKmsKeyId"> = async (input, call) => {
  if (input.KmsKeyId === undefined || input.KmsKeyId === "") throw raise("MissingParameter", { name: "KmsKeyId" })
  const { arn } = findKey(call, input.KmsKeyId)
  await change(call, "ModifyEbsDefaultKmsKeyId", { key: arn })
  return { KmsKeyId: arn }
}

const resetEbsDefaultKmsKeyId: Handler<"ResetEbsDefaultKmsKeyId"> = async (_input, call) => {
  await change(call, "ResetEbsDefaultKmsKeyId", { key: undefined })
  return { KmsKeyId: managedKey(call).arn }
}

/** What is not named stays; a key that is undefined goes. */
async function change(
  call: Call,
  operation: string,
  changes: { readonly byDefault?: boolean; readonly key?: string | undefined },
): Promise<void> {
  call.authorize(`ec2:${operation}`)
  await changeSettings(call, (now): SettingsRecord => {
    const { key, byDefault } = { byDefault: false, key: undefined, ...now.encryption, ...changes }
    return { ...now, encryption: { byDefault, ...(key === undefined ? {} : { key }) } }
  })
  await call.commit()
}

export const handlers = {
  GetEbsEncryptionByDefault: pure(getEbsEncryptionByDefault),
  EnableEbsEncryptionByDefault: enableEbsEncryptionByDefault,
  DisableEbsEncryptionByDefault: disableEbsEncryptionByDefault,
  GetEbsDefaultKmsKeyId: pure(getEbsDefaultKmsKeyId),
  ModifyEbsDefaultKmsKeyId: modifyEbsDefaultKmsKeyId,
  ResetEbsDefaultKmsKeyId: resetEbsDefaultKmsKeyId,
} satisfies Handlers
