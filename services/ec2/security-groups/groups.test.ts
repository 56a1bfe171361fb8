import assert from "node:assert/strict"
import { test } from "node:test"
import { account, openRig, region } from "#tests/ec2/rig.ts"

const named = (name: string) => ({ GroupName: name, Description: "of a test" })

test("a new group stands in the default VPC and lets everything out, nothing in", async (t) => {
  const rig = await openRig(t)
  const TagSpecifications = [{ ResourceType: "security-group" as const, Tags: [{ Key: "team", Value: "a" }] }]
  const made = await rig.ec2("CreateSecurityGroup", { ...named("web "), TagSpecifications })
  const { Vpcs } = await rig.ec2("DescribeVpcs", {})
  const { SecurityGroups } = await rig.ec2("DescribeSecurityGroups", { GroupIds: [made.GroupId ?? ""] })
  assert.deepEqual(SecurityGroups, [
    {
      GroupId: made.GroupId,
      GroupName: "web",
      Description: "of a test",
      OwnerId: account,
      VpcId: Vpcs?.[0]?.VpcId,
      SecurityGroupArn: `arn:aws:ec2:${region}:${account}:security-group/${made.GroupId}`,
      IpPermissions: [],
      IpPermissionsEgress: [
        {
          IpProtocol: "-1",
          UserIdGroupPairs: [],
          IpRanges: [{ CidrIp: "0.0.0.0/0" }],
          Ipv6Ranges: [],
          PrefixListIds: [],
        },
      ],
      Tags: [{ Key: "team", Value: "a" }],
    },
  ])
  assert.match(made.GroupId ?? "", /^sg-[0-9a-f]{17}$/)
  const assigned = rig.assigned.at(-1)?.assign?.[0]
  assert.equal(assigned?.resource, made.GroupId)
  assert.equal(assigned?.kind, "group")
})

test("names are unique in a VPC, not beyond it", async (t) => {
  const rig = await openRig(t)
  const VpcId = await rig.otherVpc()
  await rig.ec2("CreateSecurityGroup", named("web"))
  await rig.ec2("CreateSecurityGroup", { ...named("web"), VpcId })
  const refused = await rig.fault("CreateSecurityGroup", { ...named("web"), VpcId })
  assert.equal(refused, `InvalidGroup.Duplicate: The security group 'web' already exists for VPC '${VpcId}'`)
})

test("of ten concurrent creations with one name, one wins", async (t) => {
  const rig = await openRig(t)
  const all = await Promise.allSettled(Array.from({ length: 10 }, () => rig.ec2("CreateSecurityGroup", named("race"))))
  assert.equal(all.filter((one) => one.status === "fulfilled").length, 1)
  for (const one of all)
    if (one.status === "rejected") assert.equal((one.reason as { code: string }).code, "InvalidGroup.Duplicate")
})

test("names and descriptions that EC2 refuses are refused", async (t) => {
  const rig = await openRig(t)
  const refusals: readonly (readonly [string | undefined, string | undefined, string])[] = [
    [undefined, "d", "MissingParameter"],
    ["web", undefined, "MissingParameter"],
    ["web", "", "MissingParameter"],
    ["default", "d", "InvalidParameterValue"],
    ["sg-web", "d", "InvalidParameterValue"],
    ["wéb", "d", "InvalidParameterValue"],
    ["web", "a\nb", "InvalidParameterValue"],
    ["web", "a<b", "InvalidParameterValue"],
    ["w".repeat(256), "d", "InvalidParameterValue"],
  ]
  for (const [GroupName, Description, code] of refusals) {
    const refused = await rig.fault("CreateSecurityGroup", { GroupName, Description })
    assert.equal(refused.split(":")[0], code, refused)
  }
  assert.match(await rig.fault("CreateSecurityGroup", { ...named("web"), VpcId: "vpc-123" }), /^InvalidVpcID/)
  assert.match(
    await rig.fault("CreateSecurityGroup", { ...named("web"), VpcId: "vpc-00000000" }),
    /^InvalidVpcID.NotFound/,
  )
  assert.equal((await rig.ec2("DescribeSecurityGroups", {})).SecurityGroups?.length, 1)
})

test("a dry run creates nothing", async (t) => {
  const rig = await openRig(t)
  assert.match(await rig.fault("CreateSecurityGroup", { ...named("web"), DryRun: true }), /^DryRunOperation: /)
  assert.match(await rig.fault("DescribeSecurityGroups", { GroupNames: ["web"] }), /^InvalidGroup.NotFound: /)
})

test("groups are found by name, by what their rules say and page by page", async (t) => {
  const rig = await openRig(t)
  const VpcId = await rig.otherVpc()
  for (let i = 0; i < 12; i++) await rig.ec2("CreateSecurityGroup", { ...named(`g${i}`), VpcId })
  const web = await rig.ec2("CreateSecurityGroup", named("web"))
  const UserIdGroupPairs = [{ GroupName: "default", Description: "ours" }]
  await rig.ec2("AuthorizeSecurityGroupIngress", {
    GroupId: web.GroupId,
    IpPermissions: [
      { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "10.1.2.3/8" }], UserIdGroupPairs },
    ],
  })
  const names = async (...filters: (readonly [string, string])[]) => {
    const Filters = filters.map(([Name, value]) => ({ Name, Values: [value] }))
    return (await rig.ec2("DescribeSecurityGroups", { Filters })).SecurityGroups?.map((group) => group.GroupName)
  }
  assert.deepEqual(await names(["ip-permission.from-port", "22"], ["ip-permission.cidr", "10.*"]), ["web"])
  assert.deepEqual(await names(["ip-permission.group-name", "default"], ["ip-permission.to-port", "22"]), ["web"])
  assert.deepEqual(await names(["ip-permission.cidr", "11.0.0.0/8"]), [])
  assert.deepEqual(await names(["vpc-id", VpcId], ["group-name", "g1?"]), ["g10", "g11"])
  assert.equal((await names(["egress.ip-permission.protocol", "-1"]))?.length, 15)
  assert.match(
    await rig.fault("DescribeSecurityGroups", { Filters: [{ Name: "colour", Values: ["red"] }] }),
    /^InvalidParameterValue/,
  )

  const seen: (string | undefined)[] = []
  let NextToken: string | undefined
  do {
    const page = await rig.ec2("DescribeSecurityGroups", { MaxResults: 6, NextToken })
    seen.push(...(page.SecurityGroups?.map((group) => group.GroupId) ?? []))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.equal(new Set(seen).size, 15)
  assert.equal(seen.length, 15)
})

test("an unknown group is NotFound, a malformed id Malformed", async (t) => {
  const rig = await openRig(t)
  assert.equal(
    await rig.fault("DescribeSecurityGroups", { GroupIds: ["sg-00000000000000000"] }),
    "InvalidGroup.NotFound: The security group 'sg-00000000000000000' does not exist",
  )
  assert.match(await rig.fault("DescribeSecurityGroups", { GroupIds: ["web"] }), /^InvalidGroupId.Malformed/)
  assert.match(await rig.fault("DeleteSecurityGroup", { GroupName: "web" }), /^InvalidGroup.NotFound/)
  assert.match(await rig.fault("DeleteSecurityGroup", {}), /^MissingParameter/)
})

test("groups of another account and another region are not there", async (t) => {
  const rig = await openRig(t)
  const { GroupId } = await rig.ec2("CreateSecurityGroup", named("web"))
  for (const caller of [{ account: "210987654321" }, { region: "eu-west-1" }]) {
    assert.match(await rig.fault("DeleteSecurityGroup", { GroupId }, caller), /^InvalidGroup.NotFound/)
    assert.match(
      await rig.fault("CreateTags", { Resources: [GroupId ?? ""], Tags: [{ Key: "a", Value: "" }] }, caller),
      /^InvalidGroup.NotFound/,
    )
  }
})

test("a deleted group is gone with its tags, and its name is free again", async (t) => {
  const rig = await openRig(t)
  const tags = [{ ResourceType: "security-group" as const, Tags: [{ Key: "k", Value: "v" }] }]
  const { GroupId } = await rig.ec2("CreateSecurityGroup", { ...named("web"), TagSpecifications: tags })
  assert.match(await rig.fault("DeleteSecurityGroup", { GroupId, DryRun: true }), /^DryRunOperation/)
  assert.deepEqual(await rig.ec2("DeleteSecurityGroup", { GroupName: "web" }), { Return: true, GroupId })
  assert.deepEqual(rig.assigned.at(-1)?.unassign, [{ host: "local", resource: GroupId }])
  assert.deepEqual((await rig.ec2("DescribeTags", {})).Tags, [])
  await rig.ec2("CreateSecurityGroup", named("web"))
})

test("the default group stays, and so does one that another group's rule names", async (t) => {
  const rig = await openRig(t)
  const [standard] = (await rig.ec2("DescribeSecurityGroups", { GroupNames: ["default"] })).SecurityGroups ?? []
  assert.match(await rig.fault("DeleteSecurityGroup", { GroupId: standard?.GroupId }), /^CannotDelete: .*"default"/)
  const web = await rig.ec2("CreateSecurityGroup", named("web"))
  const database = await rig.ec2("CreateSecurityGroup", named("database"))
  const self = { UserIdGroupPairs: [{ GroupId: web.GroupId }] }
  const permission = { IpProtocol: "tcp", FromPort: 5432, ToPort: 5432, ...self }
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId: web.GroupId, IpPermissions: [permission] })
  await rig.ec2("AuthorizeSecurityGroupIngress", { GroupId: database.GroupId, IpPermissions: [permission] })
  assert.equal(
    await rig.fault("DeleteSecurityGroup", { GroupId: web.GroupId }),
    `DependencyViolation: resource ${web.GroupId} has a dependent object`,
  )
  await rig.ec2("RevokeSecurityGroupIngress", { GroupId: database.GroupId, IpPermissions: [permission] })
  await rig.ec2("DeleteSecurityGroup", { GroupId: web.GroupId })
})

test("a region holds 2,500 groups that were made, and another one its own", async (t) => {
  const rig = await openRig(t)
  const group = (name: string) => rig.ec2("CreateSecurityGroup", { GroupName: name, Description: "one of many" })
  const { GroupId = "" } = await group("first")
  await rig.change((call) => {
    for (let n = 0; n < 2499; n++) call.draft.claim(`security-group:${call.account}:${call.region}`, `sg-${n}`, "full")
  })
  const more = { GroupName: "one more", Description: "too many" }
  assert.match(await rig.fault("CreateSecurityGroup", more), /^SecurityGroupLimitExceeded/)
  await rig.ec2("CreateSecurityGroup", more, { region: "eu-west-1" })
  await rig.ec2("DeleteSecurityGroup", { GroupId })
  await rig.ec2("CreateSecurityGroup", more)
})
