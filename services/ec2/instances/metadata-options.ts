/** Metadata options of an instance, as RunInstances takes and DescribeInstances shows them. */
import type { InstanceMetadataOptionsRequest, InstanceMetadataOptionsResponse } from "@aws-sdk/client-ec2"
import type { MetadataDefaults } from "../account/settings.ts"
import { raise } from "../errors.ts"
import type { InstanceAttributes } from "./record.ts"

type Options = InstanceAttributes["metadata"]

/** What an instance gets that asks for nothing: both versions, one hop. */
export const defaultMetadataOptions: Options = {
  tokens: "optional",
  hopLimit: 1,
  endpoint: "enabled",
  tags: "disabled",
}

/**
 * A launch's own options first, then the account's defaults, then what everybody gets. OperationNotPermitted where the account enforces
 * tokens and they would be optional.
 */
export function launchMetadataOptions(
  request: InstanceMetadataOptionsRequest | undefined,
  account: MetadataDefaults,
): Options {
  const { tokensEnforced: _, ...defaults } = account
  const options = readMetadataOptions(request, { ...defaultMetadataOptions, ...defaults })
  requireEnforced(options, account)
  return options
}

/** OperationNotPermitted where the account enforces tokens and these options leave them optional. */
export function requireEnforced(options: Options, { tokensEnforced }: MetadataDefaults): void {
  if (tokensEnforced === "enabled" && options.tokens !== "required")
    throw raise("OperationNotPermitted", {
      detail: "HttpTokens must be 'required': HttpTokensEnforced is enabled for this account in this Region.",
    })
}

export function readMetadataOptions(request: InstanceMetadataOptionsRequest | undefined, before: Options): Options {
  if (request === undefined) return before
  if (request.HttpProtocolIpv6 === "enabled")
    throw raise("UnsupportedOperation", { operation: "MetadataOptions with HttpProtocolIpv6" })
  const hopLimit = request.HttpPutResponseHopLimit ?? before.hopLimit
  if (hopLimit < 1 || hopLimit > 64)
    throw raise("InvalidParameterValue", {
      detail: `Value (${hopLimit}) for parameter HttpPutResponseHopLimit is invalid. Expecting an integer between 1 and 64.`,
    })
  return {
    tokens: oneOf("HttpTokens", request.HttpTokens, ["optional", "required"]) ?? before.tokens,
    hopLimit,
    endpoint: oneOf("HttpEndpoint", request.HttpEndpoint, ["enabled", "disabled"]) ?? before.endpoint,
    tags: oneOf("InstanceMetadataTags", request.InstanceMetadataTags, ["enabled", "disabled"]) ?? before.tags,
  }
}

function oneOf<const T extends string>(name: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined
  const found = allowed.find((item) => item === value)
  if (found === undefined)
    throw raise("InvalidParameterValue", {
      detail: `Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`,
    })
  return found
}

export function toMetadataOptions(options: Options): InstanceMetadataOptionsResponse {
  return {
    State: "applied",
    HttpTokens: options.tokens,
    HttpPutResponseHopLimit: options.hopLimit,
    HttpEndpoint: options.endpoint,
    HttpProtocolIpv6: "disabled",
    InstanceMetadataTags: options.tags,
  }
}
