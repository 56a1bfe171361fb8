/** Sets of DHCP options: what the guests of a VPC are told with their addresses, from their next lease or renewal on. */
import type { DhcpOptions } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { listTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { changeVpc } from "../vpcs/assignment.ts"
import { vpcKind } from "../vpcs/record.ts"
import { readConfigurations } from "./read.ts"
import { type DhcpOptionsRecord, dhcpOptionsKind, ownDomain } from "./record.ts"

/** EC2 names no quota of its own. */
const maxPerRegion = 1000

const createDhcpOptions: Handler<"CreateDhcpOptions"> = async (input, call) => {
  const configurations = readConfigurations(input.DhcpConfigurations)
  const tags = tagsFor(input.TagSpecifications, "dhcp-options")
  const scope = `dhcp-options:${call.account}:${call.region}`
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion)
    throw raise("ResourceLimitExceeded", { detail: "The maximum number of DHCP options sets has been reached." })
  const options = call.draft.create(dhcpOptionsKind, { configurations, tags })
  call.draft.claim(scope, options.id, options.id)
  await call.commit()
  return { DhcpOptions: toDhcpOptions(options) }
}

const describeDhcpOptions: Handler<"DescribeDhcpOptions"> = async (input, call) => {
  const page = await call.describe({
    kind: dhcpOptionsKind,
    ids: input.DhcpOptionsIds,
    filterNames: ["dhcp-options-id", "key", "owner-id", "value"],
    ...asked(input),
  })
  return { DhcpOptions: page.items.map(toDhcpOptions), ...nextToken(page) }
}

/** "default" leaves the VPC without any: its guests are told addresses and routers alone. */
const associateDhcpOptions: Handler<"AssociateDhcpOptions"> = async (input, call) => {
  const { DhcpOptionsId: id } = input
  const options = id === "default" ? undefined : await call.require(dhcpOptionsKind, id, "DhcpOptionsId")
  const vpc = await call.require(vpcKind, input.VpcId, "VpcId")
  call.authorize("ec2:AssociateDhcpOptions", vpc, ...(options ? [options] : []))
  const { dhcpDomain: _, dhcpOptions: before, ...record } = vpc.record
  const after = options?.id ?? "default"
  if (after !== before) {
    if (before !== "default") call.draft.unlink(vpc.id, before, "blocks")
    if (options !== undefined) call.draft.link(vpc.id, options.id, "blocks")
    const dhcpDomain = ownDomain(options?.record, call.region)
    await changeVpc(call, vpc, { ...record, dhcpOptions: after, ...(dhcpDomain === undefined ? {} : { dhcpDomain }) })
  }
  await call.commit()
  return {}
}

/** DependencyViolation while a VPC has it. */
const deleteDhcpOptions: Handler<"DeleteDhcpOptions"> = async (input, call) => {
  const options = await call.require(dhcpOptionsKind, input.DhcpOptionsId, "DhcpOptionsId")
  call.authorize("ec2:DeleteDhcpOptions", options)
  call.draft.remove(options)
  await call.commit()
  return {}
}

function toDhcpOptions({ id, account, record }: Resource<DhcpOptionsRecord>): DhcpOptions {
  return {
    DhcpOptionsId: id,
    OwnerId: account,
    DhcpConfigurations: record.configurations.map(({ key, values }) => ({
      Key: key,
      Values: values.map((Value) => ({ Value })),
    })),
    Tags: listTags(record.tags),
  }
}

export const handlers = {
  AssociateDhcpOptions: associateDhcpOptions,
  CreateDhcpOptions: createDhcpOptions,
  DeleteDhcpOptions: deleteDhcpOptions,
  DescribeDhcpOptions: pure(describeDhcpOptions),
} satisfies Handlers
