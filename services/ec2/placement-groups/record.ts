/** Placement groups as they are stored. Which instances are in one stands in the instances. */
import { defineKind, type Resource, type Tagged } from "#cloud/resources/kind.ts"

export type Strategy = "cluster" | "spread" | "partition"

export interface PlacementGroupRecord extends Tagged {
  readonly name: string
  readonly strategy: Strategy
  /** Of strategy "partition" only: 1 to 7. */
  readonly partitions?: number
}

/** Ends in the name, not in the id. */
export const placementGroupArn = ({ account, region, record }: Resource<PlacementGroupRecord>) =>
  `arn:aws:ec2:${region}:${account}:placement-group/${record.name}`

export const placementGroupKind = defineKind<PlacementGroupRecord>({
  name: "placement-group",
  prefix: "pg",
  schema: 1,
  notFound: ["InvalidPlacementGroup.Unknown", "The Placement Group '{id}' is unknown."],
  malformed: ["InvalidPlacementGroupId.Malformed", 'Invalid id: "{id}"'],
  facets: (group) => ({
    "group-name": group.record.name,
    "group-arn": placementGroupArn(group),
    // "host" is for Outposts only.
    "spread-level": group.record.strategy === "spread" ? "rack" : undefined,
    // A group is made and gone within its call.
    state: "available",
    strategy: group.record.strategy,
  }),
})
