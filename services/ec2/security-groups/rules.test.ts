import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { IpPermission } from "@aws-sdk/client-ec2"
import { account, openRig, region, type Rig } from "#tests/ec2/rig.ts"

/** A rig with one group, in the default VPC or another one. */
async function openGroup(t: TestContext, where: "default" | "other" = "other") {
  const rig = await openRig(t)
  const VpcId = where === "other" ? await rig.otherVpc() : undefined
  const { GroupId = "" } = await rig.ec2("CreateSecurityGroup", { GroupName: "web", Description: "d", VpcId })
  return { ...rig, GroupId, VpcId }
}

const open = (port: number, ...cidrs: readonly string[]): IpPermission => ({
  IpProtocol: "tcp",
  FromPort: port,
  ToPort: port,
  IpRanges: cidrs.map((CidrIp) => ({ CidrIp })),
})

async function permissionsOf(
  rig: Rig,
  GroupId: string,
  side: "IpPermissions" | "IpPermissionsEgress" = "IpPermissions",
) {
  return (await rig.ec2("DescribeSecurityGroups", { GroupIds: [GroupId] })).SecurityGroups?.[0]?.[side]
}

test("authorized rules come back with ids, are merged by port, and go to the host", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const answer = await rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId,
    IpPermissions: [
      { ...open(22, "192.168.7.9/16"), Ipv6Ranges: [{ CidrIpv6: "2001:DB8:0:0::1/32", Description: "six" }] },
      open(22, "10.0.0.0/8"),
      { IpProtocol: "6", FromPort: 80, ToPort: 81, UserIdGroupPairs: [{ GroupId, UserId: account }] },
    ],
    TagSpecifications: [{ ResourceType: "security-group-rule", Tags: [{ Key: "a", Value: "b" }] }],
  })
  assert.equal(answer.Return, true)
  const [first] = answer.SecurityGroupRules ?? []
  assert.match(first?.SecurityGroupRuleId ?? "", /^sgr-[0-9a-f]{17}$/)
  assert.deepEqual(first, {
    SecurityGroupRuleId: first?.SecurityGroupRuleId,
    GroupId,
    GroupOwnerId: account,
    IsEgress: false,
    IpProtocol: "tcp",
    FromPort: 22,
    ToPort: 22,
    CidrIpv4: "192.168.0.0/16",
    Tags: [{ Key: "a", Value: "b" }],
    SecurityGroupRuleArn: `arn:aws:ec2:${region}:${account}:security-group-rule/${first?.SecurityGroupRuleId}`,
  })
  assert.deepEqual(await permissionsOf(rig, GroupId), [
    {
      IpProtocol: "tcp",
      FromPort: 22,
      ToPort: 22,
      UserIdGroupPairs: [],
      IpRanges: [{ CidrIp: "192.168.0.0/16" }, { CidrIp: "10.0.0.0/8" }],
      Ipv6Ranges: [{ CidrIpv6: "2001:db8::/32", Description: "six" }],
      PrefixListIds: [],
    },
    {
      IpProtocol: "tcp",
      FromPort: 80,
      ToPort: 81,
      UserIdGroupPairs: [{ GroupId, UserId: account }],
      IpRanges: [],
      Ipv6Ranges: [],
      PrefixListIds: [],
    },
  ])
  const spec = rig.assigned.at(-1)?.assign?.[0]?.spec as { group: { ingress: readonly object[] } }
  assert.deepEqual(spec.group.ingress[0], {
    protocol: "tcp",
    fromPort: 22,
    toPort: 22,
    cidrs: ["192.168.0.0/16"],
    cidrs6: [],
    groups: [],
  })
  assert.equal(spec.group.ingress.length, 4)
})

test("a rule that is there already, or twice in one request, is refused with nothing added", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [open(22, "0.0.0.0/0")] })
  assert.equal(
    await rig.fault("AuthorizeSecurityGroupIngress", {
      GroupId,
      IpPermissions: [open(80, "0.0.0.0/0"), open(22, "1.2.3.4/0")],
    }),
    'InvalidPermission.Duplicate: the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
  )
  assert.match(
    await rig.fault("AuthorizeSecurityGroupIngress", {
      GroupId,
      IpPermissions: [open(81, "10.0.0.0/8", "10.1.1.1/8")],
    }),
    /^InvalidParameterValue: The same permission must not appear multiple times$/,
  )
  assert.match(
    await rig.fault("AuthorizeSecurityGroupEgress", {
      GroupId,
      IpPermissions: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    }),
    /^InvalidPermission.Duplicate: .*"peer: 0.0.0.0\/0, ALL, ALLOW"/,
  )
  assert.equal((await permissionsOf(rig, GroupId))?.length, 1)
})

test("malformed permissions are refused", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const all = { IpRanges: [{ CidrIp: "0.0.0.0/0" }] }
  const refusals: readonly (readonly [IpPermission, string])[] = [
    [{ ...all, FromPort: 1, ToPort: 2 }, "MissingParameter"],
    [{ ...all, IpProtocol: "tcp" }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "tcp", FromPort: 5 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "tcp", FromPort: 5, ToPort: 4 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "udp", FromPort: 0, ToPort: 65_536 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "tcp", FromPort: -1, ToPort: -1 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "icmp", FromPort: 256, ToPort: 0 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "icmp", FromPort: -1, ToPort: 4 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "icmp" }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "tpc", FromPort: 1, ToPort: 1 }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "256" }, "InvalidParameterValue"],
    [{ ...all, IpProtocol: "-2" }, "InvalidParameterValue"],
    [{ IpProtocol: "-1" }, "MissingParameter"],
    [open(1, "10.0.0.0"), "InvalidParameterValue"],
    [open(1, "10.0.0.0/33"), "InvalidParameterValue"],
    [open(1, "10.0.0.256/8"), "InvalidParameterValue"],
    [open(1, "010.0.0.1/8"), "InvalidParameterValue"],
    [open(1, "10.0.0.1/8/8"), "InvalidParameterValue"],
    [open(1, "2001:db8::/32"), "InvalidParameterValue"],
    [{ IpProtocol: "-1", Ipv6Ranges: [{ CidrIpv6: "fe80::1%eth0/64" }] }, "InvalidParameterValue"],
    [{ IpProtocol: "-1", Ipv6Ranges: [{ CidrIpv6: "::/129" }] }, "InvalidParameterValue"],
    [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "a<b" }] }, "InvalidParameterValue"],
    [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "x".repeat(256) }] }, "InvalidParameterValue"],
    [{ IpProtocol: "-1", PrefixListIds: [{ PrefixListId: "pl-12345678" }] }, "InvalidPrefixListID.NotFound"],
    [{ IpProtocol: "-1", UserIdGroupPairs: [{}] }, "MissingParameter"],
    [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId: "sg-00000000" }] }, "InvalidGroup.NotFound"],
    [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId, UserId: "210987654321" }] }, "InvalidGroup.NotFound"],
    [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupName: "nobody" }] }, "InvalidGroup.NotFound"],
  ]
  for (const [permission, code] of refusals) {
    const refused = await rig.fault("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [permission] })
    assert.equal(refused.split(":")[0], code, `${JSON.stringify(permission)} answered ${refused}`)
  }
  assert.match(await rig.fault("AuthorizeSecurityGroupIngress", { GroupId }), /^MissingParameter/)
  assert.deepEqual(await permissionsOf(rig, GroupId), [])
})

test("a group of another network cannot be named", async (t) => {
  const rig = await openGroup(t)
  const [standard] = (await rig.ec2("DescribeSecurityGroups", { GroupNames: ["default"] })).SecurityGroups ?? []
  const IpPermissions = [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId: standard?.GroupId }] }]
  assert.equal(
    await rig.fault("AuthorizeSecurityGroupIngress", { GroupId: rig.GroupId, IpPermissions }),
    "InvalidGroup.NotFound: You have specified two resources that belong to different networks.",
  )
})

test("a range given for a protocol without ports is left out; icmpv6 may do without", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const IpRanges = [{ CidrIp: "10.0.0.0/8" }]
  const { SecurityGroupRules } = await rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId,
    IpPermissions: [
      { IpProtocol: "50", FromPort: 1, ToPort: 2, IpRanges },
      { IpProtocol: "58", IpRanges },
      { IpProtocol: "ICMP", FromPort: 8, ToPort: -1, IpRanges },
    ],
  })
  assert.deepEqual(
    SecurityGroupRules?.map((rule) => [rule.IpProtocol, rule.FromPort, rule.ToPort]),
    [
      ["50", -1, -1],
      ["icmpv6", -1, -1],
      ["icmp", 8, -1],
    ],
  )
})

test("the flat parameters of old work on ingress in the default VPC by name", async (t) => {
  const rig = await openGroup(t, "default")
  const flat = { GroupName: "web", IpProtocol: "tcp", FromPort: 22, ToPort: 22, CidrIp: "0.0.0.0/0" }
  await rig.ec2("AuthorizeSecurityGroupIngress", flat)
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupName: "web", SourceSecurityGroupName: "default" })
  const shown = await permissionsOf(rig, rig.GroupId)
  assert.deepEqual(
    shown?.map((one) => [one.IpProtocol, one.FromPort, one.ToPort]),
    [
      ["tcp", 22, 22],
      ["icmp", -1, -1],
      ["tcp", 0, 65_535],
      ["udp", 0, 65_535],
    ],
  )
  await rig.ec2("RevokeSecurityGroupIngress", flat)
  assert.equal((await permissionsOf(rig, rig.GroupId))?.length, 3)
  assert.match(await rig.fault("AuthorizeSecurityGroupIngress", { ...flat, CidrIp: undefined }), /^MissingParameter/)
  assert.match(
    await rig.fault("AuthorizeSecurityGroupIngress", { ...flat, GroupId: rig.GroupId }),
    /^InvalidParameterCombination/,
  )
  assert.match(
    await rig.fault("AuthorizeSecurityGroupIngress", { ...flat, IpPermissions: [open(1, "10.0.0.0/8")] }),
    /^InvalidParameterCombination/,
  )
})

test("sixty rules for each direction and IP family, not one more", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const many = (count: number, from: number) => Array.from({ length: count }, (_, i) => open(from + i, "10.0.0.0/8"))
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: many(60, 1) })
  const refused = await rig.fault("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: many(1, 100) })
  assert.equal(
    refused,
    "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.",
  )
  await rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId,
    IpPermissions: [{ IpProtocol: "-1", Ipv6Ranges: [{ CidrIpv6: "::/0" }] }],
  })
  await rig.ec2("AuthorizeSecurityGroupEgress", { GroupId, IpPermissions: many(59, 1) })
  assert.match(
    await rig.fault("AuthorizeSecurityGroupEgress", { GroupId, IpPermissions: many(1, 100) }),
    /^RulesPerSecurityGroupLimitExceeded/,
  )
})

test("thirty concurrent authorizations on one group are all kept", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const wanted = Array.from({ length: 30 }, (_, i) => i + 1)
  await Promise.all(
    wanted.map((port) =>
      rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [open(port, "10.0.0.0/8")] }),
    ),
  )
  const ports = (await permissionsOf(rig, GroupId))?.map((permission) => permission.FromPort ?? 0)
  assert.deepEqual(
    ports?.toSorted((a, b) => a - b),
    wanted,
  )
})

test("of concurrent identical authorizations one wins", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const input = { GroupId, IpPermissions: [open(22, "0.0.0.0/0")] }
  const all = await Promise.allSettled(Array.from({ length: 4 }, () => rig.ec2("AuthorizeSecurityGroupIngress", input)))
  assert.equal(all.filter((one) => one.status === "fulfilled").length, 1)
  assert.equal((await permissionsOf(rig, GroupId))?.[0]?.IpRanges?.length, 1)
})

test("a revoked rule is gone; an unknown one is NotFound and revokes nothing", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const IpPermissions = [open(22, "10.0.0.0/8"), open(23, "10.0.0.0/8"), open(24, "10.0.0.0/8")]
  const made = await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions })
  const ids = made.SecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId ?? "") ?? []
  assert.equal(
    await rig.fault("RevokeSecurityGroupIngress", {
      GroupId,
      IpPermissions: [open(22, "10.0.0.0/8"), open(22, "11.0.0.0/8")],
    }),
    "InvalidPermission.NotFound: The specified rule does not exist in this security group.",
  )
  assert.match(
    await rig.fault("RevokeSecurityGroupEgress", { GroupId, SecurityGroupRuleIds: ids.slice(0, 1) }),
    /^InvalidSecurityGroupRuleId.NotFound/,
  )
  assert.match(
    await rig.fault("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds: ["sgr-1"] }),
    /^InvalidSecurityGroupRuleId.Malformed/,
  )
  assert.equal((await permissionsOf(rig, GroupId))?.length, 3)

  const first = await rig.ec2("RevokeSecurityGroupIngress", { GroupId, IpPermissions: [open(22, "10.9.9.9/8")] })
  assert.deepEqual(
    [
      first.Return,
      first.UnknownIpPermissions,
      first.RevokedSecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId),
    ],
    [true, undefined, [ids[0]]],
  )
  await rig.ec2("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds: ids.slice(1) })
  assert.deepEqual(await permissionsOf(rig, GroupId), [])
  const spec = rig.assigned.at(-1)?.assign?.[0]?.spec as { group: { ingress: readonly object[] } }
  assert.deepEqual(spec.group.ingress, [])
})

test("in the default VPC unknown permissions come back and the known ones go", async (t) => {
  const rig = await openGroup(t, "default")
  const { GroupId } = rig
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [open(22, "10.0.0.0/8")] })
  const answer = await rig.ec2("RevokeSecurityGroupIngress", {
    GroupId,
    IpPermissions: [open(22, "10.0.0.0/8", "11.0.0.0/8")],
  })
  assert.equal(answer.Return, true)
  assert.deepEqual(answer.UnknownIpPermissions?.[0]?.IpRanges, [{ CidrIp: "11.0.0.0/8" }])
  assert.equal(answer.RevokedSecurityGroupRules?.length, 1)
  assert.deepEqual(await permissionsOf(rig, GroupId), [])
})

test("rules are modified in place, all or none, and keep the kind of their peer", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const made = await rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId,
    IpPermissions: [open(22, "10.0.0.0/8"), open(23, "10.0.0.0/8")],
  })
  const [one = "", two = ""] = made.SecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId ?? "") ?? []
  const to = (SecurityGroupRuleId: string, FromPort: number, CidrIpv4 = "172.16.5.5/12") => ({
    SecurityGroupRuleId,
    SecurityGroupRule: { IpProtocol: "udp", FromPort, ToPort: FromPort, CidrIpv4, Description: "new" },
  })
  const modify = (...SecurityGroupRules: ReturnType<typeof to>[]) => ({ GroupId, SecurityGroupRules })
  assert.match(
    await rig.fault("ModifySecurityGroupRules", modify(to(one, 1), to(two, 1))),
    /^InvalidPermission.Duplicate/,
  )
  assert.match(await rig.fault("ModifySecurityGroupRules", modify(to(one, 1), to(one, 2))), /^InvalidParameterValue/)
  assert.match(
    await rig.fault("ModifySecurityGroupRules", modify(to("sgr-00000000", 1))),
    /^InvalidSecurityGroupRuleId.NotFound/,
  )
  const ports = { IpProtocol: "-1", FromPort: 0, ToPort: 65_535, CidrIpv4: "10.0.0.0/8" }
  assert.match(
    await rig.fault("ModifySecurityGroupRules", {
      GroupId,
      SecurityGroupRules: [{ SecurityGroupRuleId: one, SecurityGroupRule: ports }],
    }),
    /^InvalidParameterValue: You may not specify all protocols and specific ports/,
  )
  const six = { IpProtocol: "-1", CidrIpv6: "::/0" }
  const changed = { GroupId, SecurityGroupRules: [{ SecurityGroupRuleId: one, SecurityGroupRule: six }] }
  assert.match(await rig.fault("ModifySecurityGroupRules", changed), /^InvalidParameterValue/)
  assert.match(await rig.fault("ModifySecurityGroupRules", { GroupId, SecurityGroupRules: [] }), /^MissingParameter/)

  assert.deepEqual(await rig.ec2("ModifySecurityGroupRules", modify(to(one, 53))), { Return: true })
  const { SecurityGroupRules } = await rig.ec2("DescribeSecurityGroupRules", { SecurityGroupRuleIds: [one] })
  const [rule] = SecurityGroupRules ?? []
  assert.deepEqual(
    [rule?.IpProtocol, rule?.FromPort, rule?.CidrIpv4, rule?.Description],
    ["udp", 53, "172.16.0.0/12", "new"],
  )
})

test("descriptions change by permission and by id, and go when none is given", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const described = (Description?: string): IpPermission => ({
    ...open(22),
    IpRanges: [{ CidrIp: "10.0.0.0/8", Description }],
  })
  const made = await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions: [described("old")] })
  const id = made.SecurityGroupRules?.[0]?.SecurityGroupRuleId
  const words = async () => (await permissionsOf(rig, GroupId))?.[0]?.IpRanges?.[0]?.Description
  assert.equal(await words(), "old")
  await rig.ec2("UpdateSecurityGroupRuleDescriptionsIngress", { GroupId, IpPermissions: [described("new")] })
  assert.equal(await words(), "new")
  const byId = { GroupId, SecurityGroupRuleDescriptions: [{ SecurityGroupRuleId: id, Description: "by id" }] }
  await rig.ec2("UpdateSecurityGroupRuleDescriptionsIngress", byId)
  assert.equal(await words(), "by id")
  assert.match(
    await rig.fault("UpdateSecurityGroupRuleDescriptionsEgress", byId),
    /^InvalidSecurityGroupRuleId.NotFound/,
  )
  await rig.ec2("UpdateSecurityGroupRuleDescriptionsIngress", { GroupId, IpPermissions: [described()] })
  assert.equal(await words(), undefined)
  assert.match(
    await rig.fault("UpdateSecurityGroupRuleDescriptionsIngress", { GroupId, IpPermissions: [open(99, "10.0.0.0/8")] }),
    /^InvalidPermission.NotFound/,
  )
  const egress = [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "all" }] }]
  await rig.ec2("UpdateSecurityGroupRuleDescriptionsEgress", { GroupId, IpPermissions: egress })
  assert.equal((await permissionsOf(rig, GroupId, "IpPermissionsEgress"))?.[0]?.IpRanges?.[0]?.Description, "all")
})

test("rules are listed once each, page by page, also when one is revoked between pages", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const IpPermissions = Array.from({ length: 14 }, (_, i) => open(i + 1, "10.0.0.0/8"))
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId, IpPermissions })
  const Filters = [{ Name: "group-id", Values: [GroupId] }]
  const first = await rig.ec2("DescribeSecurityGroupRules", { MaxResults: 5, Filters })
  const last = first.SecurityGroupRules?.at(-1)
  if (last?.IsEgress !== true)
    await rig.ec2("RevokeSecurityGroupIngress", { GroupId, SecurityGroupRuleIds: [last?.SecurityGroupRuleId ?? ""] })
  const seen = [...(first.SecurityGroupRules ?? [])]
  let { NextToken } = first
  while (NextToken !== undefined) {
    const page = await rig.ec2("DescribeSecurityGroupRules", { MaxResults: 5, Filters, NextToken })
    seen.push(...(page.SecurityGroupRules ?? []))
    NextToken = page.NextToken
  }
  assert.equal(seen.length, 15)
  assert.equal(new Set(seen.map((rule) => rule.SecurityGroupRuleId)).size, 15)
  assert.match(
    await rig.fault("DescribeSecurityGroupRules", { NextToken: first.NextToken, MaxResults: 5 }),
    /^InvalidNextToken/,
  )
  assert.match(await rig.fault("DescribeSecurityGroupRules", { MaxResults: 4 }), /^InvalidParameterValue/)
  assert.match(
    await rig.fault("DescribeSecurityGroupRules", { SecurityGroupRuleIds: ["sgr-00000000000000000"] }),
    /^InvalidSecurityGroupRuleId.NotFound/,
  )
  // All groups of the region: two default ones with two rules each, and what is left of ours.
  const all: (string | undefined)[] = []
  let next: string | undefined
  do {
    const page = await rig.ec2("DescribeSecurityGroupRules", { MaxResults: 6, NextToken: next })
    all.push(...(page.SecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId) ?? []))
    next = page.NextToken
  } while (next !== undefined)
  const { SecurityGroupRules: whole } = await rig.ec2("DescribeSecurityGroupRules", {})
  assert.deepEqual(
    all,
    whole?.map((rule) => rule.SecurityGroupRuleId),
  )
})

test("a dry run of a change changes nothing", async (t) => {
  const rig = await openGroup(t)
  const { GroupId } = rig
  const input = { GroupId, IpPermissions: [open(22, "0.0.0.0/0")], DryRun: true }
  assert.match(await rig.fault("AuthorizeSecurityGroupIngress", input), /^DryRunOperation/)
  assert.deepEqual(await permissionsOf(rig, GroupId), [])
})
