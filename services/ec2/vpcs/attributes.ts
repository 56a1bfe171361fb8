/** DescribeVpcAttribute: one of a VPC's three attributes. They cannot be changed yet, so each VPC has those that a default VPC is made with. */
import type { VpcAttributeName } from "@aws-sdk/client-ec2"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Output } from "../handler.ts"
import { vpcKind } from "./record.ts"

/** What guests see: the resolver answers, instances have names of their addresses, nothing measures the use of addresses. */
const shown: Readonly<Record<VpcAttributeName, Omit<Output<"DescribeVpcAttribute">, "VpcId">>> = {
  enableDnsHostnames: { EnableDnsHostnames: { Value: true } },
  enableDnsSupport: { EnableDnsSupport: { Value: true } },
  enableNetworkAddressUsageMetrics: { EnableNetworkAddressUsageMetrics: { Value: false } },
}

/** DescribeVpcAttribute. MissingParameter, InvalidParameterValue, InvalidVpcID.NotFound and .Malformed. */
const describeVpcAttribute: Handler<"DescribeVpcAttribute"> = async (input, call) => {
  const { Attribute: name } = input
  if (name === undefined) throw raise("MissingParameter", { name: "Attribute" })
  if (!Object.hasOwn(shown, name))
    throw raise("InvalidParameterValue", {
      detail: `Value (${name}) for parameter attribute is invalid. Unknown attribute.`,
    })
  const vpc = await call.require(vpcKind, input.VpcId, "VpcId")
  return { VpcId: vpc.id, ...shown[name] }
}

export const handlers = { DescribeVpcAttribute: pure(describeVpcAttribute) } satisfies Handlers
