import { only, type Replay, tagged, tagsOf, until } from "./replay.ts"
import type { TestCloud } from "../operations/cloud.ts"

const entries = [{ Cidr: "10.0.0.0/8", Description: "own" }]
const described = [{ Cidr: "10.0.0.0/8", Description: "ours" }]

async function shown({ ec2 }: TestCloud, id: string) {
  const find = async () => (await ec2("DescribeManagedPrefixLists", { PrefixListIds: [id] })).PrefixLists
  return only(find(), (each) => each.PrefixListId === id, ["InvalidPrefixListID.NotFound"])
}

const becomes = (cloud: TestCloud, id: string, verb: "create" | "modify") =>
  until(`${verb}-complete`, [`${verb}-in-progress`], async () => (await shown(cloud, id))?.State ?? "gone")

export const managedPrefixList: Replay = {
  resource: "aws_ec2_managed_prefix_list",
  async create(cloud) {
    const { PrefixList } = await cloud.ec2("CreateManagedPrefixList", {
      AddressFamily: "IPv4",
      ClientToken: "terraform-prefix-list",
      Entries: entries,
      MaxEntries: 5,
      PrefixListName: "terraform",
      TagSpecifications: [tagged("prefix-list", { step: "first" })],
    })
    const id = PrefixList?.PrefixListId ?? ""
    await becomes(cloud, id, "create")
    return id
  },
  async read(cloud, id) {
    const list = await shown(cloud, id)
    if (list === undefined) return undefined
    const { Entries = [] } = await cloud.ec2("GetManagedPrefixListEntries", { PrefixListId: id })
    return {
      address_family: list.AddressFamily,
      arn: list.PrefixListArn,
      entry: Entries.map(({ Cidr, Description = "" }) => ({ Cidr, Description })),
      max_entries: list.MaxEntries,
      name: list.PrefixListName,
      owner_id: list.OwnerId,
      tags: tagsOf(list.Tags),
      version: list.Version,
    }
  },
  planned: { address_family: "IPv4", entry: entries, max_entries: 5, name: "terraform", tags: { step: "first" } },
  async update(cloud, id, before) {
    const AddEntries = [{ Cidr: "192.0.2.0/24" }, ...described]
    // An entry that gets another description is removed first, by a call of its own, and comes back with the others.
    await cloud.ec2("ModifyManagedPrefixList", {
      PrefixListId: id,
      CurrentVersion: Number(before["version"]),
      RemoveEntries: entries.map(({ Cidr }) => ({ Cidr })),
    })
    await becomes(cloud, id, "modify")
    const { Version: CurrentVersion } = (await shown(cloud, id)) ?? {}
    await cloud.ec2("ModifyManagedPrefixList", {
      PrefixListId: id,
      CurrentVersion,
      PrefixListName: "other",
      AddEntries,
    })
    await becomes(cloud, id, "modify")
    // The size is a call of its own.
    await cloud.ec2("ModifyManagedPrefixList", { PrefixListId: id, MaxEntries: 6 })
    await becomes(cloud, id, "modify")
  },
  changed: {
    entry: [{ Cidr: "192.0.2.0/24", Description: "" }, ...described],
    max_entries: 6,
    name: "other",
    version: 3,
  },
  async destroy({ ec2 }, id) {
    await ec2("DeleteManagedPrefixList", { PrefixListId: id })
  },
}
