/**
 * GetInstanceMetadataDefaults, ModifyInstanceMetadataDefaults: metadata options that launches take where they say nothing themselves
 * ("Order of precedence for instance metadata options").
 */
import type { InstanceMetadataDefaultsResponse } from "@aws-sdk/client-ec2"
import { pure } from "#cloud/service.ts"
import { changeSettings, type MetadataDefaults, readSettings } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"

const getInstanceMetadataDefaults: Handler<"GetInstanceMetadataDefaults"> = async (_input, call) => {
  const { metadata } = await readSettings(call)
  return { AccountLevel: toAnswer(metadata) }
}

function toAnswer(metadata: MetadataDefaults): InstanceMetadataDefaultsResponse {
  return {
    ...(metadata.tokens === undefined ? {} : { HttpTokens: metadata.tokens }),
    ...(metadata.hopLimit === undefined ? {} : { HttpPutResponseHopLimit: metadata.hopLimit }),
    ...(metadata.endpoint === undefined ? {} : { HttpEndpoint: metadata.endpoint }),
    ...(metadata.tags === undefined ? {} : { InstanceMetadataTags: metadata.tags }),
    ...(metadata.tokensEnforced === undefined ? {} : { HttpTokensEnforced: metadata.tokensEnforced }),
    ManagedBy: "account",
  }
}

/** What is not named stays; `no-preference` and -1 clear. */
const modifyInstanceMetadataDefaults: Handler<"ModifyInstanceMetadataDefaults"> = async (input, call) => {
  const changes = readChanges(input)
  if (changes.length === 0) throw raise("MissingParameter", { name: "HttpTokens" })
  call.authorize("ec2:ModifyInstanceMetadataDefaults")
  await changeSettings(call, (now) => {
    const merged = { ...now.metadata, ...Object.fromEntries(changes) }
    const set = Object.entries(merged).filter(([, value]) => value !== null)
    return { ...now, metadata: Object.fromEntries(set) }
  })
  await call.commit()
  return { Return: true }
}

/** Setting -> its new value, or null to clear it. */
type Change = readonly [name: keyof MetadataDefaults, value: string | number | null]

function readChanges(input: Input<"ModifyInstanceMetadataDefaults">): readonly Change[] {
  const changes: Change[] = []
  const choice = (name: keyof MetadataDefaults, parameter: keyof typeof input, allowed: readonly string[]) => {
    const value = input[parameter]
    if (value === undefined) return
    if (value === "no-preference") changes.push([name, null])
    else if (typeof value === "string" && allowed.includes(value)) changes.push([name, value])
    else
      throw raise("InvalidParameterValue", {
        detail: `Value (${String(value)}) for parameter ${parameter} is invalid. Expected: ${[...allowed, "no-preference"].join(", ")}.`,
      })
  }
  choice("tokens", "HttpTokens", ["optional", "required"])
  choice("endpoint", "HttpEndpoint", ["enabled", "disabled"])
  choice("tags", "InstanceMetadataTags", ["enabled", "disabled"])
  choice("tokensEnforced", "HttpTokensEnforced", ["enabled", "disabled"])
  const hops = input.HttpPutResponseHopLimit
  if (hops !== undefined) {
    if (hops !== -1 && (hops < 1 || hops > 64))
      throw raise("InvalidParameterValue", {
        detail: `Value (${hops}) for parameter HttpPutResponseHopLimit is invalid. Expecting an integer between 1 and 64, or -1.`,
      })
    changes.push(["hopLimit", hops === -1 ? null : hops])
  }
  return changes
}

export const handlers = {
  GetInstanceMetadataDefaults: pure(getInstanceMetadataDefaults),
  ModifyInstanceMetadataDefaults: modifyInstanceMetadataDefaults,
} satisfies Handlers
