/** Launches from a template: what is taken from it, what the request overrides, and what both together are refused for. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { Instance, LaunchTemplateSpecification, RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import { imageIdOf } from "#images/catalog.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import type { Input } from "../handler.ts"
import { registerPublicImages } from "../images/register.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)

async function rigWithImage(t: TestContext): Promise<Rig> {
  const rig = await openRig(t)
  const [architecture, rootDeviceName] = ["x86_64", "/dev/xvda"] as const
  const file = { id: image, name, description: "", architecture, rootDeviceName, sizeBytes: 2 ** 30, createdMs: 0 }
  await registerPublicImages(rig.cloud, [file])
  return rig
}

const base = { ImageId: image, InstanceType: "t3.micro" } as const satisfies RequestLaunchTemplateData

async function templateOf(rig: Rig, ...versions: readonly RequestLaunchTemplateData[]): Promise<string> {
  const [LaunchTemplateData = base, ...others] = versions
  const { LaunchTemplate } = await rig.ec2("CreateLaunchTemplate", { LaunchTemplateName: "web", LaunchTemplateData })
  const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? assert.fail("no template")
  for (const LaunchTemplateData of others)
    await rig.ec2("CreateLaunchTemplateVersion", { LaunchTemplateId, LaunchTemplateData })
  return LaunchTemplateId
}

type Run = Partial<Input<"RunInstances">>

async function launch(rig: Rig, LaunchTemplate: LaunchTemplateSpecification, more: Run = {}): Promise<Instance> {
  const { Instances } = await rig.ec2("RunInstances", { MinCount: 1, MaxCount: 1, LaunchTemplate, ...more })
  return Instances?.[0] ?? assert.fail("no instance")
}

const refusal = (rig: Rig, LaunchTemplate: LaunchTemplateSpecification, more: Run = {}) =>
  rig.fault("RunInstances", { MinCount: 1, MaxCount: 1, LaunchTemplate, ...more })

const sizes = async (rig: Rig) =>
  ((await rig.ec2("DescribeVolumes", {})).Volumes ?? []).map(({ Size, Attachments }) => [
    Attachments?.[0]?.Device,
    Size,
  ])

test("a launch takes the version that it asks for: the default one, a number, $Default or $Latest, by id or by name", async (t) => {
  const rig = await rigWithImage(t)
  const LaunchTemplateId = await templateOf(
    rig,
    base,
    { ...base, InstanceType: "t3.nano" },
    { ...base, InstanceType: "t3.small" },
  )
  await rig.ec2("ModifyLaunchTemplate", { LaunchTemplateId, DefaultVersion: "2" })
  const typeOf = async (asked: LaunchTemplateSpecification) => (await launch(rig, asked)).InstanceType
  assert.equal(await typeOf({ LaunchTemplateId }), "t3.nano")
  assert.equal(await typeOf({ LaunchTemplateName: "web", Version: "" }), "t3.nano")
  assert.equal(await typeOf({ LaunchTemplateId, Version: "$Default" }), "t3.nano")
  assert.equal(await typeOf({ LaunchTemplateId, Version: "$Latest" }), "t3.small")
  assert.equal(await typeOf({ LaunchTemplateName: "web", Version: "1" }), "t3.micro")
})

test("what the request says overrides the template: members of structures, mappings by device, tags by key", async (t) => {
  const rig = await rigWithImage(t)
  const tags = (ResourceType: "instance" | "volume", ...pairs: readonly (readonly [string, string])[]) => ({
    ResourceType,
    Tags: pairs.map(([Key, Value]) => ({ Key, Value })),
  })
  const volume = (DeviceName: string, VolumeSize: number) => ({ DeviceName, Ebs: { VolumeSize } })
  const LaunchTemplateId = await templateOf(rig, {
    ...base,
    UserData: "aGVsbG8=",
    EbsOptimized: true,
    Monitoring: { Enabled: true },
    Placement: { AvailabilityZone: "us-east-1b" },
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 3 },
    BlockDeviceMappings: [volume("/dev/sdf", 1), volume("/dev/sdg", 2)],
    TagSpecifications: [tags("instance", ["a", "template"], ["b", "template"]), tags("volume", ["v", "template"])],
  })
  const plain = await launch(rig, { LaunchTemplateId })
  assert.deepEqual(
    [plain.EbsOptimized, plain.Monitoring?.State, plain.Placement?.AvailabilityZone],
    [true, "enabled", "us-east-1b"],
  )
  assert.deepEqual(await sizes(rig), [
    ["/dev/xvda", 1],
    ["/dev/sdf", 1],
    ["/dev/sdg", 2],
  ])
  await rig.ec2("TerminateInstances", { InstanceIds: [plain.InstanceId ?? ""] })

  const instance = await launch(
    rig,
    { LaunchTemplateId },
    {
      InstanceType: "t3.small",
      Monitoring: { Enabled: false },
      // As Terraform sends it for a launch in any zone.
      Placement: { AvailabilityZone: "" },
      KeyName: "",
      MetadataOptions: { HttpPutResponseHopLimit: 9 },
      BlockDeviceMappings: [volume("/dev/sdg", 7), volume("/dev/sdh", 8)],
      TagSpecifications: [tags("instance", ["b", "request"], ["c", "request"])],
    },
  )
  assert.deepEqual(
    [instance.InstanceType, instance.EbsOptimized, instance.Monitoring?.State, instance.Placement?.AvailabilityZone],
    ["t3.small", true, "disabled", "us-east-1b"],
  )
  assert.deepEqual(
    [instance.MetadataOptions?.HttpTokens, instance.MetadataOptions?.HttpPutResponseHopLimit],
    ["required", 9],
  )
  const own = (instance.Tags ?? []).filter(({ Key }) => !Key?.startsWith("aws:")).map(({ Key, Value }) => [Key, Value])
  assert.deepEqual(own, [
    ["a", "template"],
    ["b", "request"],
    ["c", "request"],
  ])
  assert.deepEqual((await sizes(rig)).slice(3), [
    ["/dev/xvda", 1],
    ["/dev/sdf", 1],
    ["/dev/sdg", 7],
    ["/dev/sdh", 8],
  ])
  const { Volumes = [] } = await rig.ec2("DescribeVolumes", { Filters: [{ Name: "tag:v", Values: ["template"] }] })
  assert.equal(Volumes.length, 7)
  const { UserData } = await rig.ec2("DescribeInstanceAttribute", {
    InstanceId: instance.InstanceId ?? "",
    Attribute: "userData",
  })
  assert.equal(UserData?.Value, "aGVsbG8=")
})

test("an instance is tagged with its template and version; those tags count for nothing and stay", async (t) => {
  const rig = await rigWithImage(t)
  const LaunchTemplateId = await templateOf(rig, base, base)
  const tags = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: "" }))
  const { InstanceId = "" } = await launch(
    rig,
    { LaunchTemplateId, Version: "2" },
    { TagSpecifications: [{ ResourceType: "instance", Tags: tags }] },
  )
  const system = async () => {
    const Filters = [
      { Name: "resource-id", Values: [InstanceId] },
      { Name: "key", Values: ["aws:ec2launchtemplate:*"] },
    ]
    return (await rig.ec2("DescribeTags", { Filters })).Tags?.map(({ Key, Value }) => [Key, Value])
  }
  const both = [
    ["aws:ec2launchtemplate:id", LaunchTemplateId],
    ["aws:ec2launchtemplate:version", "2"],
  ]
  assert.deepEqual(await system(), both)
  const Resources = [InstanceId]
  const Tags = [{ Key: "aws:ec2launchtemplate:id", Value: LaunchTemplateId }]
  assert.match(await rig.fault("DeleteTags", { Resources, Tags }), /^InvalidParameterValue/)
  assert.match(await rig.fault("CreateTags", { Resources, Tags }), /^InvalidParameterValue/)
  await rig.ec2("DeleteTags", { Resources })
  assert.deepEqual(await system(), both)
  await rig.ec2("CreateTags", { Resources, Tags: tags })
  // They outlive the template.
  await rig.ec2("DeleteLaunchTemplate", { LaunchTemplateId })
  assert.deepEqual(await system(), both)
})

test("what a launch is refused for, it is refused for when it comes from a template, and nothing is made", async (t) => {
  const rig = await rigWithImage(t)
  const { Subnets: [subnet] = [] } = await rig.ec2("DescribeSubnets", {})
  const SubnetId = subnet?.SubnetId ?? assert.fail("no subnet")
  const versions: readonly (readonly [RequestLaunchTemplateData, RegExp, Run?])[] = [
    [{ InstanceType: "t3.micro" }, /^MissingParameter: .* ImageId/],
    [{ ...base, CpuOptions: { CoreCount: 1 } }, /^MissingParameter: .*ThreadsPerCore/],
    [{ ...base, IamInstanceProfile: { Name: "web" } }, /^UnsupportedOperation: .*IamInstanceProfile/],
    [{ ...base, InstanceMarketOptions: { MarketType: "spot" } }, /^UnsupportedOperation: .*InstanceMarketOptions/],
    [{ ...base, RamDiskId: "ari-12345678" }, /^UnsupportedOperation: .*RamdiskId/],
    [
      { ImageId: image, InstanceRequirements: { VCpuCount: { Min: 1 }, MemoryMiB: { Min: 1 } } },
      /^UnsupportedOperation: .*InstanceRequirements/,
    ],
    [
      { ...base, NetworkInterfaces: [{ DeviceIndex: 0, SubnetId }] },
      /^InvalidParameterCombination: Network interfaces and an instance-level subnet ID may not/,
      { SubnetId },
    ],
    [
      { ...base, SecurityGroupIds: ["sg-0123456789abcdef0"] },
      /^InvalidParameterCombination: Network interfaces and an instance-level security groups may not/,
      { NetworkInterfaces: [{ DeviceIndex: 0, SubnetId }] },
    ],
    [{ ...base, KeyName: "nobody" }, /^InvalidKeyPair.NotFound/],
    [base, /^InvalidParameterValue: '?vpc/, { TagSpecifications: [{ ResourceType: "vpc", Tags: [] }] }],
  ]
  const LaunchTemplateId = await templateOf(rig, ...versions.map(([data]) => data))
  for (const [index, [, expected, more]] of versions.entries())
    assert.match(await refusal(rig, { LaunchTemplateId, Version: String(index + 1) }, more), expected)

  assert.match(
    await refusal(rig, { LaunchTemplateId, Version: "99" }),
    /^InvalidLaunchTemplateId.VersionNotFound: Could not find the specified version 99 for the launch template with ID lt-/,
  )
  assert.match(
    await refusal(rig, { LaunchTemplateId, Version: "newest" }),
    /^InvalidParameterValue: Invalid launch temp/,
  )
  assert.match(await refusal(rig, { LaunchTemplateId: "web" }), /^InvalidLaunchTemplateId.Malformed/)
  assert.match(await refusal(rig, { LaunchTemplateId: "lt-00000000000000000" }), /^InvalidLaunchTemplateId.NotFound/)
  assert.match(
    await refusal(rig, { LaunchTemplateName: "nobody" }),
    /^InvalidLaunchTemplateName.NotFoundException: The specified launch template, with template name nobody, does not/,
  )
  assert.match(await refusal(rig, {}), /^MissingParameter/)
  assert.match(await refusal(rig, { LaunchTemplateId, LaunchTemplateName: "web" }), /^InvalidParameterCombination/)
  assert.deepEqual((await rig.ec2("DescribeInstances", {})).Reservations, [])
})

test("nobody sees or launches from another account's template", async (t) => {
  const rig = await rigWithImage(t)
  const LaunchTemplateId = await templateOf(rig)
  for (const caller of [{ account: "210987654321" }, { region: "eu-west-1" }]) {
    const asked = { MinCount: 1, MaxCount: 1, LaunchTemplate: { LaunchTemplateId } }
    assert.match(await rig.fault("RunInstances", asked, caller), /^InvalidLaunchTemplateId.NotFound/)
    assert.match(await rig.fault("DeleteLaunchTemplate", { LaunchTemplateName: "web" }, caller), /NotFoundException/)
    const { LaunchTemplateVersions } = await rig.ec2(
      "DescribeLaunchTemplateVersions",
      { Versions: ["$Latest"] },
      caller,
    )
    assert.deepEqual(LaunchTemplateVersions, [])
  }
})

test("a launch that is sent again gives the same instance, whatever became of the template", async (t) => {
  const rig = await rigWithImage(t)
  const LaunchTemplateId = await templateOf(rig)
  const again = () => launch(rig, { LaunchTemplateId, Version: "$Latest" }, { ClientToken: "once" })
  const { InstanceId } = await again()
  await rig.ec2("CreateLaunchTemplateVersion", { LaunchTemplateId, LaunchTemplateData: { ImageId: "ami-1" } })
  assert.equal((await again()).InstanceId, InstanceId)
  await rig.ec2("DeleteLaunchTemplate", { LaunchTemplateId })
  assert.equal((await again()).InstanceId, InstanceId)
})

test("versions that are made at once get a number each", async (t) => {
  const rig = await rigWithImage(t)
  const LaunchTemplateId = await templateOf(rig)
  const made = await Promise.all(
    Array.from({ length: 12 }, () =>
      rig.ec2("CreateLaunchTemplateVersion", { LaunchTemplateId, LaunchTemplateData: base }),
    ),
  )
  const numbers = made.map(({ LaunchTemplateVersion }) => LaunchTemplateVersion?.VersionNumber ?? 0)
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 12 }, (_, index) => index + 2),
  )
  const latest = await rig.ec2("DescribeLaunchTemplateVersions", { Versions: ["$Latest"] })
  assert.deepEqual(
    latest.LaunchTemplateVersions?.map(({ VersionNumber }) => VersionNumber),
    [13],
  )
})
