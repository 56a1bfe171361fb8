/** Managed prefix lists, alone and in rules of security groups. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = { PrefixListId: "pl-00000000000000000" }
const office = [{ Cidr: "192.0.2.0/25", Description: "office" }, { Cidr: "198.51.100.7/32" }]

async function newList({ ec2, name }: TestCloud, more: object = {}): Promise<string> {
  const asked = { PrefixListName: name(), AddressFamily: "IPv4", MaxEntries: 5, Entries: office }
  const { PrefixList } = await ec2("CreateManagedPrefixList", { ...asked, ...more })
  return PrefixList?.PrefixListId ?? assert.fail("no list")
}

async function shown({ ec2 }: TestCloud, id: string) {
  const { PrefixLists } = await ec2("DescribeManagedPrefixLists", { PrefixListIds: [id] })
  return PrefixLists?.[0] ?? assert.fail("no list")
}

async function cidrs({ ec2 }: TestCloud, PrefixListId: string, TargetVersion?: number) {
  const version = TargetVersion === undefined ? {} : { TargetVersion }
  const { Entries } = await ec2("GetManagedPrefixListEntries", { PrefixListId, ...version })
  return Entries?.map(({ Cidr }) => Cidr)
}

async function groupWith({ ec2, name }: TestCloud, PrefixListId: string): Promise<string> {
  const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName: name(), Description: "lists" })
  const permission = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, PrefixListIds: [{ PrefixListId }] }
  await ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [permission] })
  return GroupId
}

export const prefixLists = {
  async CreateManagedPrefixList(cloud) {
    const { ec2, refusal, name, daemon } = cloud
    const operation = "CreateManagedPrefixList"
    const asked = { PrefixListName: name(), AddressFamily: "IPv4", MaxEntries: 5 }
    const Tags = [{ Key: "of", Value: "offices" }]
    const { PrefixList: made } = await ec2(operation, {
      ...asked,
      Entries: [{ Cidr: "10.1.2.3/16" }, ...office],
      ClientToken: asked.PrefixListName,
      TagSpecifications: [{ ResourceType: "prefix-list", Tags }],
    })
    const id = made?.PrefixListId ?? ""
    assert.match(id, /^pl-[0-9a-f]{17}$/)
    assert.equal(made?.State, "create-in-progress")
    const list = await shown(cloud, id)
    assert.deepEqual(
      [list.PrefixListName, list.AddressFamily, list.MaxEntries, list.Version, list.State, list.Tags, list.OwnerId],
      [asked.PrefixListName, "IPv4", 5, 1, "create-complete", Tags, daemon.credentials.account],
    )
    // The range as EC2 shows it, not as it was given.
    assert.deepEqual(await cidrs(cloud, id), ["10.1.0.0/16", "192.0.2.0/25", "198.51.100.7/32"])
    const again = { ...asked, ClientToken: name() }
    const [first, second] = [await ec2(operation, again), await ec2(operation, again)]
    assert.equal(second.PrefixList?.PrefixListId, first.PrefixList?.PrefixListId)
    assert.equal(await refusal(operation, { ...again, MaxEntries: 6 }), "400 IdempotentParameterMismatch")
    await newList(cloud, { AddressFamily: "IPv6", Entries: [{ Cidr: "2001:db8::/32" }] })

    const refused = (input: object) => refusal(operation, { ...asked, ...input })
    assert.equal(await refused({ PrefixListName: "com.amazonaws.mine" }), "400 InvalidParameterValue")
    assert.equal(await refused({ PrefixListName: "x".repeat(256) }), "400 InvalidParameterValue")
    assert.equal(await refused({ AddressFamily: "ipv4" }), "400 InvalidParameterValue")
    for (const MaxEntries of [0, 1001]) assert.equal(await refused({ MaxEntries }), "400 InvalidParameterValue")
    assert.equal(await refused({ MaxEntries: 1, Entries: office }), "400 PrefixListMaxEntriesExceeded")
    for (const Cidr of ["2001:db8::/32", "10.0.0.0", "10.0.0.0/33", "everywhere"])
      assert.equal(await refused({ Entries: [{ Cidr }] }), "400 InvalidParameterValue", Cidr)
    assert.equal(
      await refused({ Entries: [{ Cidr: "10.0.0.0/8" }, { Cidr: "10.0.0.1/8" }] }),
      "400 InvalidParameterValue",
    )
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
  },

  async ModifyManagedPrefixList(cloud) {
    const { ec2, refusal } = cloud
    const operation = "ModifyManagedPrefixList"
    const PrefixListId = await newList(cloud)
    const AddEntries = [{ Cidr: "203.0.113.0/24" }]
    const { PrefixList } = await ec2(operation, { PrefixListId, CurrentVersion: 1, AddEntries })
    assert.deepEqual([PrefixList?.State, PrefixList?.Version], ["modify-in-progress", 2])
    assert.equal((await shown(cloud, PrefixListId)).State, "modify-complete")
    const refused = (input: object) => refusal(operation, { PrefixListId, CurrentVersion: 2, ...input })
    assert.equal(await refused({ CurrentVersion: 1, RemoveEntries: AddEntries }), "400 PrefixListVersionMismatch")
    assert.equal(await refused({ AddEntries }), "400 InvalidPrefixListModification")
    assert.equal(await refused({ AddEntries, RemoveEntries: AddEntries }), "400 InvalidParameterValue")
    assert.equal(await refused({ RemoveEntries: [{ Cidr: "10.0.0.0/8" }] }), "400 InvalidPrefixListModification")
    assert.equal(await refused({ AddEntries: [{ Cidr: "::/0" }] }), "400 InvalidParameterValue")
    const many = Array.from({ length: 3 }, (_, index) => ({ Cidr: `10.${index}.0.0/16` }))
    assert.equal(await refused({ AddEntries: many }), "400 PrefixListMaxEntriesExceeded")
    assert.equal(await refused({ MaxEntries: 9, RemoveEntries: AddEntries }), "400 InvalidParameterCombination")
    assert.equal(await refused({ MaxEntries: 2 }), "400 PrefixListMaxEntriesExceeded")
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ AddEntries: many, ...nowhere }), "400 InvalidPrefixListID.NotFound")
    assert.equal(await refused({ MaxEntries: 9, DryRun: true }), "412 DryRunOperation")
    // A name and a size are no new version.
    await ec2(operation, { PrefixListId, PrefixListName: "renamed", MaxEntries: 9 })
    const { Version, PrefixListName, MaxEntries } = await shown(cloud, PrefixListId)
    assert.deepEqual([Version, PrefixListName, MaxEntries], [2, "renamed", 9])
    await sizeCountsInGroups(cloud)
  },

  async RestoreManagedPrefixListVersion(cloud) {
    const { ec2, refusal } = cloud
    const operation = "RestoreManagedPrefixListVersion"
    const PrefixListId = await newList(cloud)
    await ec2("ModifyManagedPrefixList", { PrefixListId, RemoveEntries: [{ Cidr: "192.0.2.0/25" }] })
    assert.deepEqual(await cidrs(cloud, PrefixListId), ["198.51.100.7/32"])
    const refused = (PreviousVersion: number, CurrentVersion: number) =>
      refusal(operation, { PrefixListId, PreviousVersion, CurrentVersion })
    assert.equal(await refused(1, 1), "400 PrefixListVersionMismatch")
    assert.equal(await refused(2, 2), "400 InvalidParameterValue")
    assert.equal(await refused(0, 2), "400 InvalidParameterValue")
    await ec2(operation, { PrefixListId, PreviousVersion: 1, CurrentVersion: 2 })
    const { State, Version } = await shown(cloud, PrefixListId)
    assert.deepEqual([State, Version], ["restore-complete", 3])
    assert.deepEqual(await cidrs(cloud, PrefixListId), ["192.0.2.0/25", "198.51.100.7/32"])
    const missing = { ...nowhere, PreviousVersion: 1, CurrentVersion: 2 }
    assert.equal(await refusal(operation, missing), "400 InvalidPrefixListID.NotFound")
  },

  async GetManagedPrefixListEntries(cloud) {
    const { ec2, refusal } = cloud
    const operation = "GetManagedPrefixListEntries"
    const PrefixListId = await newList(cloud)
    const { Entries } = await ec2(operation, { PrefixListId })
    assert.deepEqual(Entries, office)
    const page = await ec2(operation, { PrefixListId, MaxResults: 1 })
    assert.deepEqual(page.Entries, office.slice(0, 1))
    // The next page is of the same version, though there is another by now.
    await ec2("ModifyManagedPrefixList", { PrefixListId, RemoveEntries: office.map(({ Cidr }) => ({ Cidr })) })
    const rest = await ec2(operation, { PrefixListId, MaxResults: 1, NextToken: page.NextToken })
    assert.deepEqual([rest.Entries, rest.NextToken], [office.slice(1), undefined])
    assert.deepEqual(
      [await cidrs(cloud, PrefixListId), await cidrs(cloud, PrefixListId, 1)],
      [[], office.map(({ Cidr }) => Cidr)],
    )
    assert.equal(await refusal(operation, { PrefixListId, TargetVersion: 3 }), "400 InvalidParameterValue")
    for (const MaxResults of [0, 101])
      assert.equal(await refusal(operation, { PrefixListId, MaxResults }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { PrefixListId, NextToken: "b3RoZXI" }), "400 InvalidNextToken")
    assert.equal(await refusal(operation, nowhere), "400 InvalidPrefixListID.NotFound")
  },

  async GetManagedPrefixListAssociations(cloud) {
    const { ec2, refusal, daemon } = cloud
    const operation = "GetManagedPrefixListAssociations"
    const PrefixListId = await newList(cloud)
    assert.deepEqual((await ec2(operation, { PrefixListId })).PrefixListAssociations, [])
    const GroupId = await groupWith(cloud, PrefixListId)
    const { PrefixListAssociations } = await ec2(operation, { PrefixListId })
    const ResourceOwner = daemon.credentials.account
    assert.deepEqual(PrefixListAssociations, [{ ResourceId: GroupId, ResourceOwner }])
    assert.equal(await refusal(operation, { PrefixListId, MaxResults: 4 }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, nowhere), "400 InvalidPrefixListID.NotFound")
  },

  async DescribeManagedPrefixLists(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeManagedPrefixLists"
    const own = await shown(cloud, await newList(cloud))
    const find = async (Name: string, value = "") =>
      (await ec2(operation, { Filters: [{ Name, Values: [value] }] })).PrefixLists ?? []
    assert.deepEqual(await find("prefix-list-name", own.PrefixListName), [own])
    assert.deepEqual(await find("prefix-list-id", own.PrefixListId), [own])
    assert.ok((await find("owner-id", own.OwnerId)).length > 0)
    const page = await ec2(operation, { MaxResults: 1 })
    assert.deepEqual([page.PrefixLists?.length, typeof page.NextToken], [1, "string"])
    assert.equal(await refusal(operation, { MaxResults: 101 }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { PrefixListIds: ["pl"] }), "400 InvalidPrefixListId.Malformed")
  },

  async DeleteManagedPrefixList(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DeleteManagedPrefixList"
    const PrefixListId = await newList(cloud)
    const GroupId = await groupWith(cloud, PrefixListId)
    assert.equal(await refusal(operation, { PrefixListId }), "400 DependencyViolation")
    const { SecurityGroups: [group] = [] } = await ec2("DescribeSecurityGroups", { GroupIds: [GroupId] })
    const [permission] = group?.IpPermissions ?? []
    assert.deepEqual(permission?.PrefixListIds, [{ PrefixListId }])
    await ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: [permission ?? assert.fail("no rule")] })
    assert.equal(await refusal(operation, { PrefixListId, DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2(operation, { PrefixListId })).PrefixList?.State, "delete-in-progress")
    assert.equal(await refusal(operation, { PrefixListId }), "400 InvalidPrefixListID.NotFound")
    const IpPermissions = [{ IpProtocol: "-1", PrefixListIds: [{ PrefixListId }] }]
    const late = { GroupId, IpPermissions }
    assert.equal(await refusal("AuthorizeSecurityGroupIngress", late), "400 InvalidPrefixListID.NotFound")
  },
} satisfies Checks

/** A rule of a list takes as much of the group's quota as the list may ever hold. */
async function sizeCountsInGroups(cloud: TestCloud): Promise<void> {
  const { ec2, refusal } = cloud
  const large = await newList(cloud, { MaxEntries: 50 })
  const GroupId = await groupWith(cloud, large)
  const small = await newList(cloud, { MaxEntries: 11 })
  const rule = (PrefixListId: string) => ({
    GroupId,
    IpPermissions: [{ IpProtocol: "udp", FromPort: 53, ToPort: 53, PrefixListIds: [{ PrefixListId }] }],
  })
  const operation = "AuthorizeSecurityGroupIngress"
  assert.equal(await refusal(operation, rule(small)), "400 RulesPerSecurityGroupLimitExceeded")
  await ec2("ModifyManagedPrefixList", { PrefixListId: small, MaxEntries: 10 })
  const { SecurityGroupRules: [made] = [] } = await ec2(operation, rule(small))
  assert.equal(made?.PrefixListId, small)
  // What the group has no room for leaves the list as it is, and its message says which group.
  await ec2("ModifyManagedPrefixList", { PrefixListId: large, MaxEntries: 51 })
  const { State, StateMessage, MaxEntries } = await shown(cloud, large)
  assert.deepEqual([State, MaxEntries], ["modify-failed", 50])
  assert.ok(StateMessage?.includes(GroupId))
  const changed = { PrefixListId: large, IpProtocol: "udp", FromPort: 54, ToPort: 54 }
  const SecurityGroupRuleId = made?.SecurityGroupRuleId ?? ""
  const modify = (SecurityGroupRule: object) => ({
    GroupId,
    SecurityGroupRules: [{ SecurityGroupRuleId, SecurityGroupRule }],
  })
  assert.equal(await refusal("ModifySecurityGroupRules", modify(changed)), "400 RulesPerSecurityGroupLimitExceeded")
  const toCidr = { CidrIpv4: "10.0.0.0/8", IpProtocol: "-1" }
  assert.equal(await refusal("ModifySecurityGroupRules", modify(toCidr)), "400 InvalidParameterValue")
  await ec2("ModifySecurityGroupRules", modify({ ...changed, PrefixListId: small }))
  await ec2("ModifyManagedPrefixList", { PrefixListId: large, MaxEntries: 40 })
  assert.equal((await shown(cloud, large)).State, "modify-complete")
}
