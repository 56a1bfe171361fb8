/** DescribeAccountAttributes. */
import type { Call } from "#cloud/call.ts"
import { pure } from "#cloud/service.ts"
import { elasticIpsPerRegion } from "../addresses/quotas.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { groupsPerInterface } from "../security-groups/quotas.ts"
import { defaultVpcOf } from "../vpcs/default.ts"
import { serialConsole } from "./serial-console.ts"
import { idFormats } from "./id-formats.ts"

/** Every attribute of an account with its values: the quotas are those of a new account on EC2. */
const attributes: Readonly<Record<string, (call: Call) => string | Promise<string>>> = {
  "supported-platforms": () => "VPC",
  "vpc-max-security-groups-per-interface": () => String(groupsPerInterface),
  "max-elastic-ips": () => String(elasticIpsPerRegion),
  "max-instances": () => "20",
  "vpc-max-elastic-ips": () => String(elasticIpsPerRegion),
  "default-vpc": async (call) => (await defaultVpcOf(call))?.id ?? "none",
}

/** DescribeAccountAttributes: all of them, or those named. An unknown name is InvalidParameterValue. */
const describeAccountAttributes: Handler<"DescribeAccountAttributes"> = async (input, call) => {
  const given: readonly string[] = input.AttributeNames ?? []
  const names = given.length === 0 ? Object.keys(attributes) : [...new Set(given)]
  const unknown = names.find((name) => !Object.hasOwn(attributes, name))
  if (unknown !== undefined)
    throw raise("InvalidParameterValue", {
      detail: `Value (${unknown}) for parameter attributeName is invalid. Invalid attribute name`,
    })
  const found = names.map(async (name) => ({
    AttributeName: name,
    AttributeValues: [{ AttributeValue: await attributes[name]?.(call) }],
  }))
  return { AccountAttributes: await Promise.all(found) }
}

export const handlers = {
  DescribeAccountAttributes: pure(describeAccountAttributes),
  ...idFormats,
  ...serialConsole,
} satisfies Handlers
