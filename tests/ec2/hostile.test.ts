/** Requests made of bad and odd values: each is served or refused with a Fault below 500, nothing else is ever thrown. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { inspect } from "node:util"
import fc from "fast-check"
import { Fault } from "#lib/fault.ts"
import { openRig } from "./rig.ts"

const runs = { numRuns: 120, seed: 20_260_101 }

const odd = [
  "-1",
  "tcp",
  "0.0.0.0/0",
  "::/0",
  "sg-00000000",
  "sgr-00000000",
  "default",
  "\u0000",
  "__proto__",
  "constructor",
]
const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom(...odd))
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined })
const some = <T>(values: fc.Arbitrary<T>) => maybe(fc.array(values, { maxLength: 4 }))

const tag = fc.record({ Key: maybe(text), Value: maybe(text) })
const type = fc.constantFrom("security-group", "key-pair", "security-group-rule", "x")
const TagSpecifications = some(fc.record({ ResourceType: maybe(type), Tags: some(tag) }))
const filterName = fc.oneof(text, fc.constantFrom("tag:a", "tag-key", "group-id", "key", "zone-name", "hypervisor"))
const page = {
  Filters: some(fc.record({ Name: maybe(filterName), Values: some(text) })),
  MaxResults: maybe(fc.integer({ min: -2, max: 1100 })),
  NextToken: maybe(text),
}
const traffic = { IpProtocol: maybe(text), FromPort: maybe(fc.integer()), ToPort: maybe(fc.integer()) }
const permission = fc.record({
  ...traffic,
  IpRanges: some(fc.record({ CidrIp: maybe(text), Description: maybe(text) })),
  Ipv6Ranges: some(fc.record({ CidrIpv6: maybe(text) })),
  UserIdGroupPairs: some(fc.record({ GroupId: maybe(text), GroupName: maybe(text), UserId: maybe(text) })),
})
const GroupName = fc.constantFrom("default", "", undefined)
const group = { GroupName, GroupId: maybe(text), IpPermissions: some(permission), CidrIp: maybe(text), ...traffic }
const sshStrings = fc
  .array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 })
  .map((parts) => parts.flatMap((part) => [0, 0, 0, part.length, ...part]))
  .map((bytes) =>
    Buffer.from(`ssh-rsa ${Buffer.from([0, 0, 0, 7, ...Buffer.from("ssh-rsa"), ...bytes]).toString("base64")}`),
  )
const material = fc.oneof(
  sshStrings,
  fc.uint8Array(),
  fc.base64String().map((line) => Buffer.from(line)),
)

const requests = {
  AuthorizeSecurityGroupIngress: fc.record({ ...group, SourceSecurityGroupName: maybe(text), TagSpecifications }),
  AuthorizeSecurityGroupEgress: fc.record(group),
  RevokeSecurityGroupIngress: fc.record({ ...group, SecurityGroupRuleIds: some(text) }),
  UpdateSecurityGroupRuleDescriptionsIngress: fc.record(group),
  ModifySecurityGroupRules: fc.record({
    GroupId: maybe(text),
    SecurityGroupRules: some(fc.record({ SecurityGroupRuleId: maybe(text) })),
  }),
  CreateSecurityGroup: fc.record({
    GroupName: maybe(text),
    Description: maybe(text),
    VpcId: maybe(text),
    TagSpecifications,
  }),
  DeleteSecurityGroup: fc.record({ GroupId: maybe(text), GroupName: maybe(text) }),
  DescribeSecurityGroups: fc.record({ ...page, GroupIds: some(text), GroupNames: some(text) }),
  DescribeSecurityGroupRules: fc.record({ ...page, SecurityGroupRuleIds: some(text) }),
  CreateTags: fc.record({ Resources: some(text), Tags: some(tag) }),
  DeleteTags: fc.record({ Resources: some(text), Tags: some(tag) }),
  DescribeTags: fc.record(page),
  DescribeRegions: fc.record({ ...page, RegionNames: some(text) }),
  DescribeAvailabilityZones: fc.record({ ...page, ZoneNames: some(text), ZoneIds: some(text) }),
  DescribeInstanceTypes: fc.record({ ...page, InstanceTypes: some(text) }),
  DescribeInstanceTypeOfferings: fc.record({ ...page, LocationType: maybe(text) }),
  DescribeAccountAttributes: fc.record({ AttributeNames: some(text) }),
  CreateKeyPair: fc.record({
    KeyName: maybe(text),
    KeyType: fc.constantFrom("ed25519", "x"),
    KeyFormat: maybe(text),
    TagSpecifications,
  }),
  ImportKeyPair: fc.record({ KeyName: maybe(text), PublicKeyMaterial: maybe(material), TagSpecifications }),
  DescribeKeyPairs: fc.record({ ...page, KeyNames: some(text), KeyPairIds: some(text) }),
  DeleteKeyPair: fc.record({ KeyName: maybe(text), KeyPairId: maybe(text) }),
}

for (const [operation, input] of Object.entries(requests) as [keyof typeof requests, fc.Arbitrary<object>][])
  test(`${operation} serves or refuses whatever it is given`, async (t) => {
    const rig = await openRig(t)
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        const error: unknown = await rig.ec2(operation, given as never).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (error !== undefined) assert.ok(error instanceof Fault && error.status < 500, inspect(error))
      }),
      runs,
    )
  })
