/** DescribeVpcAttribute and ModifyVpcAttribute: one of a VPC's three attributes. */
import type { VpcAttributeName } from "@aws-sdk/client-ec2"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers, Output } from "../handler.ts"
import { changeVpc } from "./assignment.ts"
import { vpcKind, type VpcRecord } from "./record.ts"

type Shown = Omit<Output<"DescribeVpcAttribute">, "VpcId">

/** What guests see: whether the resolver answers, whether instances have names there; nothing measures the use of addresses. */
const shown: Readonly<Record<VpcAttributeName, (record: VpcRecord) => Shown>> = {
  enableDnsHostnames: ({ dnsHostnames }) => ({ EnableDnsHostnames: { Value: dnsHostnames !== false } }),
  enableDnsSupport: ({ dnsSupport }) => ({ EnableDnsSupport: { Value: dnsSupport !== false } }),
  enableNetworkAddressUsageMetrics: () => ({ EnableNetworkAddressUsageMetrics: { Value: false } }),
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
  return { VpcId: vpc.id, ...shown[name](vpc.record) }
}

/** One attribute a call, as EC2 has it: InvalidParameterCombination. Host names need DNS support when they are turned on. */
const modifyVpcAttribute: Handler<"ModifyVpcAttribute"> = async (input, call) => {
  const given = {
    enableDnsHostnames: input.EnableDnsHostnames?.Value,
    enableDnsSupport: input.EnableDnsSupport?.Value,
    enableNetworkAddressUsageMetrics: input.EnableNetworkAddressUsageMetrics?.Value,
  }
  const [first, ...others] = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (first === undefined) throw raise("InvalidParameterCombination", { detail: "No attributes specified." })
  if (others.length > 0)
    throw raise("InvalidParameterCombination", {
      detail: `Fields for multiple attribute types specified: ${[first, ...others].join(", ")}`,
    })
  if (given.enableNetworkAddressUsageMetrics === true)
    throw raise("UnsupportedOperation", { operation: "ModifyVpcAttribute with EnableNetworkAddressUsageMetrics" })
  const vpc = await call.require(vpcKind, input.VpcId, "VpcId")
  call.authorize("ec2:ModifyVpcAttribute", vpc)
  const { dnsSupport, dnsHostnames, ...record } = vpc.record
  const support = given.enableDnsSupport ?? dnsSupport !== false
  const hostnames = given.enableDnsHostnames ?? dnsHostnames !== false
  if (given.enableDnsHostnames === true && !support)
    throw raise("InvalidParameterCombination", {
      detail: "DNS hostnames can only be enabled if DNS support is enabled.",
    })
  if (support !== (dnsSupport !== false) || hostnames !== (dnsHostnames !== false))
    await changeVpc(call, vpc, {
      ...record,
      ...(support ? {} : { dnsSupport: false }),
      ...(hostnames ? {} : { dnsHostnames: false }),
    })
  await call.commit()
  return {}
}

export const handlers = {
  DescribeVpcAttribute: pure(describeVpcAttribute),
  ModifyVpcAttribute: modifyVpcAttribute,
} satisfies Handlers
