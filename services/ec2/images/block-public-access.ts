/** Whether images of an account may become public, by region. New accounts on EC2 begin with it blocked ("Block public access to your AMIs"). */
import { pure } from "#cloud/service.ts"
import { changeSettings, readSettings, type SettingsRecord } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"

export const publicAccessOf = ({ imagePublicAccess = "block-new-sharing" }: SettingsRecord) => imagePublicAccess

const getState: Handler<"GetImageBlockPublicAccessState"> = async (_input, call) => ({
  ImageBlockPublicAccessState: publicAccessOf(await readSettings(call)),
  ManagedBy: "account",
})

/** Images that are public already stay so. */
const enable: Handler<"EnableImageBlockPublicAccess"> = async (input, call) => {
  const state: string | undefined = input.ImageBlockPublicAccessState
  if (state === undefined) throw raise("MissingParameter", { name: "ImageBlockPublicAccessState" })
  if (state !== "block-new-sharing")
    throw raise("InvalidParameterValue", {
      detail: `Value (${state.slice(0, 100)}) for parameter ImageBlockPublicAccessState is invalid. Expected: block-new-sharing.`,
    })
  call.authorize("ec2:EnableImageBlockPublicAccess")
  await changeSettings(call, (now) => ({ ...now, imagePublicAccess: state }))
  await call.commit()
  return { ImageBlockPublicAccessState: state }
}

const disable: Handler<"DisableImageBlockPublicAccess"> = async (_input, call) => {
  call.authorize("ec2:DisableImageBlockPublicAccess")
  await changeSettings(call, (now) => ({ ...now, imagePublicAccess: "unblocked" }))
  await call.commit()
  return { ImageBlockPublicAccessState: "unblocked" }
}

export const blockPublicAccess = {
  DisableImageBlockPublicAccess: disable,
  EnableImageBlockPublicAccess: enable,
  GetImageBlockPublicAccessState: pure(getState),
} satisfies Handlers
