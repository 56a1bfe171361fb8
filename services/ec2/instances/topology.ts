/**
 * DescribeInstanceTopology: which layers of a network an instance hangs under, from the top down. Here the layers are the region, the zone
 * and the host. As on EC2, only instances that run and whose type is listed have nodes, and another account sees other names of them.
 */
import { createHash } from "node:crypto"
import type { InstanceTopology } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { nextToken, renamed } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { requirePlacementGroup } from "../placement-groups/members.ts"
import { familyOf } from "../credits/families.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

/** "Prerequisites for Amazon EC2 topology": families whose types are listed. */
const families: ReadonlySet<string> = new Set(
  "g6e g7e hpc6a hpc6id hpc7a hpc7g hpc8a p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 trn1 trn1n trn2 trn2u".split(" "),
)
/** Families of which four layers are shown. */
const deep: ReadonlySet<string> = new Set(["p6-b200", "p6-b300"])

const maxIds = 100
const pageSize = 20

export const describeInstanceTopology: Handler<"DescribeInstanceTopology"> = async (input, call) => {
  const { InstanceIds: ids = [], GroupNames: groups = [] } = input
  if (ids.length > maxIds || groups.length > maxIds)
    throw raise("InvalidParameterValue", { detail: `At most ${maxIds} instances or placement groups can be named.` })
  for (const name of groups) await requirePlacementGroup(call, { name })
  const byIds = ids.length > 0
  const page = await call.describe({
    kind: instanceKind,
    ids,
    filters: renamed(input.Filters, { "zone-id": "availability-zone-id" }),
    filterNames: ["availability-zone", "availability-zone-id", "instance-type"],
    bounds: [1, 100],
    ...(groups.length === 0 ? {} : { also: [{ name: "placement-group-name", values: groups }] }),
    nextToken: input.NextToken,
    maxResults: byIds ? input.MaxResults : (input.MaxResults ?? pageSize),
  })
  return { Instances: page.items.map((instance) => toTopology(call, instance)), ...nextToken(page) }
}

function toTopology(call: Call, { id, record }: Resource<InstanceRecord>): InstanceTopology {
  return {
    InstanceId: id,
    InstanceType: record.type,
    NetworkNodes: nodesOf(call, record),
    AvailabilityZone: record.zone,
    ZoneId: record.zoneId,
    ...(record.placement === undefined ? {} : { GroupName: record.placement.name }),
  }
}

function nodesOf({ account, region }: Call, { state, type, zone }: InstanceRecord): string[] {
  const family = familyOf(type)
  if (state !== "running" || !families.has(family)) return []
  const layers = [region, `${region} ${zone}`, `${region} ${zone} ${localHost}`]
  if (deep.has(family)) layers.push(`${region} ${zone} ${localHost} ${family}`)
  return layers.map((layer) => `nn-${createHash("sha256").update(`${account} ${layer}`).digest("hex").slice(0, 17)}`)
}
