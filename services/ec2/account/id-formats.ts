/**
 * Formats of ids: whether new ones are long (17 digits). On AWS each type of resource had a day from which they are long for everybody, the last in
 * 2018; here they never were anything else. "Resource IDs" of the EC2 user guide.
 */
import type { IdFormat } from "@aws-sdk/client-ec2"
import { pageOf } from "#cloud/resources/describe.ts"
import { pure } from "#cloud/service.ts"
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"

/** As ModifyIdFormat lists them. */
const resources = (
  "bundle conversion-task customer-gateway dhcp-options elastic-ip-allocation elastic-ip-association export-task flow-log image import-task " +
  "instance internet-gateway network-acl network-acl-association network-interface network-interface-attachment prefix-list reservation " +
  "route-table route-table-association security-group snapshot subnet subnet-cidr-block-association volume vpc vpc-cidr-block-association " +
  "vpc-endpoint vpc-peering-connection vpn-connection vpn-gateway"
).split(" ")

function statusesOf(...names: readonly string[]): IdFormat[] {
  for (const name of names)
    if (!resources.includes(name))
      throw raise("InvalidParameterValue", {
        detail: `Value (${name.slice(0, 64)}) for parameter resource is invalid.`,
      })
  const wanted = names.length === 0 ? resources : resources.filter((name) => names.includes(name))
  return wanted.map((name) => ({ Resource: name, UseLongIds: true }))
}

const describeIdFormat: Handler<"DescribeIdFormat"> = async ({ Resource: name }) => ({
  Statuses: statusesOf(...(name === undefined ? [] : [name])),
})

const describeAggregateIdFormat: Handler<"DescribeAggregateIdFormat"> = async () => ({
  Statuses: statusesOf(),
  UseLongIdsAggregated: true,
})

const describeIdentityIdFormat: Handler<"DescribeIdentityIdFormat"> = async (input, call) => {
  requirePrincipal(call, input.PrincipalArn)
  return { Statuses: statusesOf(...(input.Resource === undefined ? [] : [input.Resource])) }
}

/** The root user alone: there are no users and roles yet that could have a preference. */
const describePrincipalIdFormat: Handler<"DescribePrincipalIdFormat"> = async (input, call) => {
  const { Resources: names = [], MaxResults: maxResults, NextToken: nextToken } = input
  const root = { Arn: `arn:aws:iam::${call.account}:root`, Statuses: statusesOf(...names) }
  const page = pageOf([root], { maxResults, nextToken, bounds: [1, 1000] }, "DescribePrincipalIdFormat", names)
  return {
    Principals: [...page.items],
    ...(page.nextToken === undefined ? {} : { NextToken: page.nextToken }),
  }
}

/** Long ids are what everybody has; short ones cannot be had again. */
const modifyIdFormat: Handler<"ModifyIdFormat"> = async ({ Resource: name, UseLongIds: long }, call) => {
  requireLong(name, long)
  await call.commit()
  return {}
}

const modifyIdentityIdFormat: Handler<"ModifyIdentityIdFormat"> = async (input, call) => {
  requirePrincipal(call, input.PrincipalArn)
  requireLong(input.Resource, input.UseLongIds)
  await call.commit()
  return {}
}

function requireLong(name: string | undefined, long: boolean | undefined): void {
  if (name === undefined) throw raise("MissingParameter", { name: "Resource" })
  if (long === undefined) throw raise("MissingParameter", { name: "UseLongIds" })
  if (name !== "all-current") statusesOf(name)
  if (!long)
    throw raise("OperationNotPermitted", { detail: "The deadline has passed: all new resources have long IDs." })
}

/** The root user, a user or a role of the caller's account, or all of them. */
function requirePrincipal(call: Call, arn: string | undefined): void {
  if (arn === undefined) throw raise("MissingParameter", { name: "PrincipalArn" })
  const [, account] = /^arn:aws:iam::(\d{12}):(?:root|all|(?:user|role)\/[\w+=,.@/-]{1,512})$/.exec(arn) ?? []
  if (account !== call.account)
    throw raise("InvalidParameterValue", {
      detail: `Value (${arn.slice(0, 256)}) for parameter principalArn is invalid.`,
    })
}

export const idFormats = {
  DescribeAggregateIdFormat: pure(describeAggregateIdFormat),
  DescribeIdentityIdFormat: pure(describeIdentityIdFormat),
  DescribeIdFormat: pure(describeIdFormat),
  DescribePrincipalIdFormat: pure(describePrincipalIdFormat),
  ModifyIdentityIdFormat: modifyIdentityIdFormat,
  ModifyIdFormat: modifyIdFormat,
} satisfies Handlers
