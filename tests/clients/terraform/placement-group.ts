import { only, type Replay, tagged, tagsOf } from "./replay.ts"

const GroupName = "terraform"

export const placementGroup: Replay = {
  resource: "aws_placement_group",
  async create({ ec2 }) {
    const TagSpecifications = [tagged("placement-group", { step: "first" })]
    await ec2("CreatePlacementGroup", { GroupName, Strategy: "spread", TagSpecifications })
    return GroupName
  },
  async read({ ec2 }, id) {
    const find = async () => (await ec2("DescribePlacementGroups", { GroupNames: [id] })).PlacementGroups
    const group = await only(find(), (each) => each.GroupName === id, ["InvalidPlacementGroup.Unknown"])
    if (group === undefined || group.State === "deleted") return undefined
    return {
      placement_group_id: group.GroupId,
      state: group.State,
      strategy: group.Strategy,
      spread_level: group.SpreadLevel,
      partition_count: group.PartitionCount ?? 0,
      tags: tagsOf(group.Tags),
    }
  },
  planned: {
    state: "available",
    strategy: "spread",
    spread_level: "rack",
    partition_count: 0,
    tags: { step: "first" },
  },
  async update({ ec2 }, _id, before) {
    const Resources = [String(before["placement_group_id"])]
    await ec2("CreateTags", { Resources, Tags: [{ Key: "step", Value: "second" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy({ ec2 }, id) {
    await ec2("DeletePlacementGroup", { GroupName: id })
  },
}
