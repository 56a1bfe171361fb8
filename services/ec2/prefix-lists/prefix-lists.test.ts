/** What hosts filter by when rules name prefix lists. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { GroupAssignment } from "#host/protocol/types.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { prefixListKind } from "./record.ts"
import { followList } from "./references.ts"

async function newList(rig: Rig, ...cidrs: readonly string[]): Promise<string> {
  const Entries = cidrs.map((Cidr) => ({ Cidr }))
  const asked = { PrefixListName: "list", AddressFamily: "IPv4", MaxEntries: 10, Entries }
  const { PrefixList } = await rig.ec2("CreateManagedPrefixList", asked)
  return PrefixList?.PrefixListId ?? assert.fail("no list")
}

const newGroup = async (rig: Rig, GroupName: string) =>
  (await rig.ec2("CreateSecurityGroup", { GroupName, Description: "of lists" })).GroupId ?? assert.fail("no group")

const allow = (rig: Rig, GroupId: string, ...lists: readonly string[]) =>
  rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId,
    IpPermissions: lists.map((PrefixListId) => ({ IpProtocol: "-1", PrefixListIds: [{ PrefixListId }] })),
  })

/** Ranges of each rule that the host lets in. */
async function ranges(rig: Rig, group: string): Promise<readonly (readonly string[])[] | undefined> {
  const rows = await rig.cloud.store.assignments("local")
  const spec = rows.find(({ resource }) => resource === group)?.spec as GroupAssignment | undefined
  return spec?.group.ingress.map(({ cidrs }) => cidrs)
}

const add = (rig: Rig, PrefixListId: string, Cidr: string) =>
  rig.ec2("ModifyManagedPrefixList", { PrefixListId, AddEntries: [{ Cidr }] })

test("a rule of a list lets its entries in, whatever becomes of them", async (t) => {
  const rig = await openRig(t)
  const list = await newList(rig, "192.0.2.0/24")
  const other = await newList(rig, "198.51.100.0/24")
  const group = await newGroup(rig, "one")
  const both = await newGroup(rig, "two")
  await allow(rig, group, list)
  await allow(rig, both, list, other)
  await add(rig, list, "203.0.113.0/24")
  assert.deepEqual(await ranges(rig, group), [["192.0.2.0/24", "203.0.113.0/24"]])
  assert.deepEqual(await ranges(rig, both), [["192.0.2.0/24", "203.0.113.0/24"], ["198.51.100.0/24"]])
  const RemoveEntries = [{ Cidr: "192.0.2.0/24" }, { Cidr: "203.0.113.0/24" }]
  await rig.ec2("ModifyManagedPrefixList", { PrefixListId: list, RemoveEntries })
  assert.deepEqual(await ranges(rig, group), [[]])
  await rig.ec2("RestoreManagedPrefixListVersion", { PrefixListId: list, PreviousVersion: 1, CurrentVersion: 3 })
  assert.deepEqual(await ranges(rig, group), [["192.0.2.0/24"]])
  // Another rule's change keeps them.
  const IpPermissions = [{ IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }]
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId: group, IpPermissions })
  assert.deepEqual(await ranges(rig, group), [["192.0.2.0/24"], ["0.0.0.0/0"]])
})

test("rules and entries that change at the same moment end in the same filter", async (t) => {
  const rig = await openRig(t)
  for (let round = 0; round < 5; round++) {
    const first = await newList(rig, "192.0.2.0/24")
    const second = await newList(rig, "198.51.100.0/24")
    const group = await newGroup(rig, `group ${round}`)
    await allow(rig, group, first)
    await Promise.all([add(rig, first, "10.1.0.0/16"), allow(rig, group, second), add(rig, second, "10.2.0.0/16")])
    assert.deepEqual(await ranges(rig, group), [
      ["192.0.2.0/24", "10.1.0.0/16"],
      ["198.51.100.0/24", "10.2.0.0/16"],
    ])
  }
})

test("a list that changes while a rule begins to refer to it is looked at again", async (t) => {
  const rig = await openRig(t)
  const PrefixListId = await newList(rig, "192.0.2.0/24")
  const group = await newGroup(rig, "late")
  let attempts = 0
  await rig.change(async (call) => {
    const list = await call.require(prefixListKind, PrefixListId)
    const entries = [{ cidr: "10.0.0.0/8" }]
    await followList(call, call.draft.update(prefixListKind, list, { ...list.record, entries }))
    if (++attempts === 1) await allow(rig, group, PrefixListId)
  })
  assert.equal(attempts, 2)
  assert.deepEqual(await ranges(rig, group), [["10.0.0.0/8"]])
})

test("another account cannot refer to a list, nor see it", async (t) => {
  const rig = await openRig(t)
  const PrefixListId = await newList(rig, "192.0.2.0/24")
  const other = { account: "210987654321" }
  const { GroupId } = await rig.ec2("CreateSecurityGroup", { GroupName: "theirs", Description: "x" }, other)
  const IpPermissions = [{ IpProtocol: "-1", PrefixListIds: [{ PrefixListId }] }]
  const refused = await rig.fault("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions }, other)
  assert.match(refused, /^InvalidPrefixListID.NotFound/)
  assert.match(await rig.fault("GetManagedPrefixListEntries", { PrefixListId }, other), /^InvalidPrefixListID.NotFound/)
})

test("more than 1,000 versions leave the newest 1,000", async (t) => {
  const rig = await openRig(t)
  const PrefixListId = await newList(rig, "192.0.2.0/24")
  await add(rig, PrefixListId, "10.0.0.0/8")
  await rig.change(async (call) => {
    const list = await call.require(prefixListKind, PrefixListId)
    call.draft.update(prefixListKind, list, { ...list.record, version: 1000 })
  })
  const count = async (TargetVersion: number) =>
    (await rig.ec2("GetManagedPrefixListEntries", { PrefixListId, TargetVersion })).Entries?.length
  assert.equal(await count(1), 1)
  await add(rig, PrefixListId, "10.1.0.0/16")
  assert.deepEqual([await count(2), await count(1001)], [2, 3])
  const first = { PrefixListId, TargetVersion: 1 }
  assert.match(await rig.fault("GetManagedPrefixListEntries", first), /^InvalidParameterValue/)
})
