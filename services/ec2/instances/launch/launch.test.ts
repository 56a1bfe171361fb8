/** RunInstances: what it makes, and what it refuses with nothing half done. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Observed } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import type { Input } from "../../handler.ts"
import { openRig, type Rig } from "../../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../../images/register.ts"
import { createEc2, observe } from "../../service.ts"
import { toAddress, usableRange } from "../../vpcs/addresses.ts"
import { subnetScope } from "../../vpcs/subnet-scope.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)
const base = { ImageId: image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const

async function rigWithImage(t: Parameters<typeof openRig>[0]): Promise<Rig> {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [
    {
      id: image,
      name,
      description: "",
      architecture: "x86_64",
      rootDeviceName: "/dev/xvda",
      sizeBytes: 2 ** 30,
      createdMs: 0,
    },
  ])
  return rig
}

const launched = async (rig: Rig) =>
  (await rig.ec2("DescribeInstances", {})).Reservations?.flatMap((r) => r.Instances ?? []) ?? []

type Row = readonly [what: string, input: Partial<Input<"RunInstances">>, expected: RegExp]
const refused: readonly Row[] = [
  ["no image", { ImageId: undefined }, /^MissingParameter/],
  ["a malformed image", { ImageId: "ami-1" }, /^InvalidAMIID.Malformed/],
  ["an unknown image", { ImageId: "ami-0123456789abcdef0" }, /^InvalidAMIID.NotFound/],
  ["count 0", { MinCount: 0 }, /^InvalidParameterValue/],
  ["a minimum above the maximum", { MinCount: 2 }, /^InvalidParameterCombination/],
  ["10,000 at once", { MinCount: 10_000, MaxCount: 10_000 }, /^InstanceLimitExceeded/],
  ["an unknown type", { InstanceType: "t3.gigantic" as never }, /^InvalidParameterValue: .*t3.gigantic/],
  ["another architecture", { InstanceType: "t4g.micro" }, /^InvalidParameterValue: The architecture/],
  ["an unknown key", { KeyName: "nobody" }, /^InvalidKeyPair.NotFound/],
  ["an unknown subnet", { SubnetId: "subnet-0123456789abcdef0" }, /^InvalidSubnetID.NotFound/],
  ["an unknown group", { SecurityGroupIds: ["sg-0123456789abcdef0"] }, /^InvalidGroup.NotFound/],
  ["an unknown group by name", { SecurityGroups: ["nobody"] }, /^InvalidGroup.NotFound/],
  ["an unknown zone", { Placement: { AvailabilityZone: "us-east-1z" } }, /^InvalidParameterValue/],
  ["user-data that is not base64", { UserData: "%%%" }, /^InvalidParameterValue/],
  [
    "user-data over 16 KB",
    { UserData: Buffer.alloc(16_385).toString("base64") },
    /^InvalidParameterValue: User data is limited/,
  ],
  [
    "a device twice",
    {
      BlockDeviceMappings: [
        { DeviceName: "/dev/sdf", Ebs: { VolumeSize: 1 } },
        { DeviceName: "/dev/sdf", Ebs: { VolumeSize: 1 } },
      ],
    },
    /^InvalidBlockDeviceMapping/,
  ],
  [
    "a root volume smaller than the image",
    { BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeSize: 0 } }] },
    /^InvalidParameterValue/,
  ],
  [
    "a volume type that is none",
    { BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 1, VolumeType: "gp9" as never } }] },
    /^InvalidParameterValue/,
  ],
  [
    "io2 without iops",
    { BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 8, VolumeType: "io2" } }] },
    /^MissingParameter/,
  ],
  [
    "EBS optimization of a type without it",
    { InstanceType: "t2.micro", EbsOptimized: true },
    /^Unsupported: EBS-optimized/,
  ],
  ["an address outside the subnet", { PrivateIpAddress: "10.0.0.9" }, /^InvalidParameterValue/],
  ["the router's address", { PrivateIpAddress: "172.31.0.1" }, /^InvalidParameterValue/],
  ["one address for two", { PrivateIpAddress: "172.31.0.9", MaxCount: 2 }, /^InvalidParameterCombination/],
  [
    "an interface and a subnet",
    { SubnetId: "subnet-0123456789abcdef0", NetworkInterfaces: [{ DeviceIndex: 0 }] },
    /^InvalidParameterCombination/,
  ],
  ["a hop limit of 65", { MetadataOptions: { HttpPutResponseHopLimit: 65 } }, /^InvalidParameterValue/],
  [
    "tags of a reserved name",
    { TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "aws:x", Value: "" }] }] },
    /^InvalidParameterValue/,
  ],
  ["what is not done yet", { IamInstanceProfile: { Name: "web" } }, /^UnsupportedOperation: .*IamInstanceProfile/],
]

test("what cannot be launched is refused, and nothing is made", async (t) => {
  const rig = await rigWithImage(t)
  for (const [what, input, expected] of refused)
    assert.match(await rig.fault("RunInstances", { ...base, ...input }), expected, what)
  assert.deepEqual(await launched(rig), [])
  for (const scope of ["public-address", "guest-number", "port-number"])
    assert.deepEqual(await rig.cloud.store.claims(scope), [])
})

test("several at once share a reservation; each has its own addresses, index and interface", async (t) => {
  const rig = await rigWithImage(t)
  const { Instances = [], ReservationId } = await rig.ec2("RunInstances", { ...base, MinCount: 2, MaxCount: 25 })
  assert.equal(Instances.length, 25)
  const distinct = (values: readonly unknown[]) => new Set(values).size
  assert.equal(distinct(Instances.map((i) => i.PrivateIpAddress)), 25)
  assert.equal(distinct(Instances.map((i) => i.PublicIpAddress)), 25)
  assert.equal(distinct(Instances.map((i) => i.NetworkInterfaces?.[0]?.MacAddress)), 25)
  assert.deepEqual(
    Instances.map((i) => i.AmiLaunchIndex),
    Array.from({ length: 25 }, (_, n) => n),
  )
  const { Reservations = [] } = await rig.ec2("DescribeInstances", {})
  assert.deepEqual(
    Reservations.map((r) => [r.ReservationId, r.Instances?.length]),
    [[ReservationId, 25]],
  )
  const { Subnets = [] } = await rig.ec2("DescribeSubnets", { SubnetIds: [Instances[0]?.SubnetId ?? ""] })
  assert.equal(Subnets[0]?.AvailableIpAddressCount, 4091 - 25)
})

test("a client token gives the same instances again, and with other parameters an error; also when calls run at once", async (t) => {
  const rig = await rigWithImage(t)
  const input = { ...base, ClientToken: "once" }
  const answers = await Promise.all(Array.from({ length: 8 }, () => rig.ec2("RunInstances", input)))
  assert.equal(new Set(answers.map((answer) => answer.Instances?.[0]?.InstanceId)).size, 1)
  assert.equal((await launched(rig)).length, 1)
  assert.match(await rig.fault("RunInstances", { ...input, InstanceType: "t3.small" }), /^IdempotentParameterMismatch/)
})

test("further volumes, sizes and types; the root keeps the image's device", async (t) => {
  const rig = await rigWithImage(t)
  await rig.ec2("RunInstances", {
    ...base,
    BlockDeviceMappings: [
      { DeviceName: "/dev/xvda", Ebs: { VolumeSize: 12 } },
      { DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3, VolumeType: "gp3", DeleteOnTermination: false } },
      { DeviceName: "/dev/sdg", VirtualName: "ephemeral0" },
    ],
    TagSpecifications: [{ ResourceType: "volume", Tags: [{ Key: "of", Value: "web" }] }],
  })
  const { Volumes = [] } = await rig.ec2("DescribeVolumes", { Filters: [{ Name: "tag:of", Values: ["web"] }] })
  const seen = Volumes.map((volume) => [
    volume.Attachments?.[0]?.Device,
    volume.Size,
    volume.VolumeType,
    volume.Iops,
    volume.Attachments?.[0]?.DeleteOnTermination,
  ])
  assert.deepEqual(seen, [
    ["/dev/xvda", 12, "gp3", 3000, true],
    ["/dev/sdf", 3, "gp3", 3000, false],
  ])
})

test("on a host that is small, types that cannot fit are refused and MaxCount is cut to what fits", async (t) => {
  const rig = await rigWithImage(t)
  const settings = { ...rig.cloud.settings, capacity: { cpus: 2, memoryMiB: 1024 + 3 * (1024 + 128) } }
  const small = createEc2({ ...rig.cloud, settings })
  const info = {
    requestId: "r",
    operation: "RunInstances",
    region: "us-east-1",
    caller: { account: "123456789012", arn: "arn:aws:iam::123456789012:root", userId: "123456789012" },
  }
  const run = (input: object) =>
    small.dispatch("RunInstances", { ...base, ...input }, info) as Promise<{ Instances: unknown[] }>
  await assert.rejects(run({ InstanceType: "t3.xlarge" }), { code: "InsufficientInstanceCapacity" })
  await assert.rejects(run({ MinCount: 4, MaxCount: 4 }), { code: "InsufficientInstanceCapacity" })
  assert.equal((await run({ MaxCount: 5 })).Instances.length, 3)
  await assert.rejects(run({}), { code: "InsufficientInstanceCapacity" })
})

test("where addresses are short, MaxCount is cut to those there are, and MinCount above them makes nothing", async (t) => {
  const rig = await rigWithImage(t)
  // The rig's pool has 239 public addresses.
  const { Instances = [] } = await rig.ec2("RunInstances", { ...base, MinCount: 2, MaxCount: 400 })
  assert.equal(Instances.length, 239)
  assert.match(await rig.fault("RunInstances", base), /^InsufficientAddressCapacity/)

  const subnet = Instances[0]?.SubnetId ?? ""
  const [record] = (await rig.ec2("DescribeSubnets", { SubnetIds: [subnet] })).Subnets ?? []
  const { first, last } = usableRange(record?.CidrBlock ?? "")
  const taken = new Set((await rig.cloud.store.claims(subnetScope(subnet))).map(({ key }) => Number(key)))
  const free = Array.from({ length: last - first + 1 }, (_, n) => first + n).filter((n) => !taken.has(n))
  await rig.change((call) => {
    for (const number of free.slice(3)) call.draft.claim(subnetScope(subnet), number, subnet)
  })
  const privately = {
    ...base,
    NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet, AssociatePublicIpAddress: false }],
  }
  const four = await rig.fault("RunInstances", { ...privately, MinCount: 4, MaxCount: 9 })
  assert.match(four, /^InsufficientFreeAddressesInSubnet/)
  assert.equal((await launched(rig)).length, 239)
  const some = await rig.ec2("RunInstances", { ...privately, MinCount: 2, MaxCount: 9 })
  assert.deepEqual(some.Instances?.map((each) => each.PrivateIpAddress).toSorted(), free.slice(0, 3).map(toAddress))
})

test("a VPC takes so many interfaces and no more: MaxCount is cut to those, MinCount above them makes nothing", async (t) => {
  const rig = await rigWithImage(t)
  const [zone, other] = (await rig.ec2("DescribeSubnets", {})).Subnets ?? []
  const { first } = usableRange(other?.CidrBlock ?? "")
  await rig.change((call) => {
    for (let number = first; number < first + 3995; number++) {
      call.draft.claim(subnetScope(other?.SubnetId ?? ""), number, `full-${number}`)
      call.draft.claim("port-number", 1_000_000 + number, `full-${number}`)
    }
  })
  const NetworkInterfaces = [{ DeviceIndex: 0, SubnetId: zone?.SubnetId, AssociatePublicIpAddress: false }]
  const six = { ...base, NetworkInterfaces, MinCount: 6, MaxCount: 9 }
  assert.match(await rig.fault("RunInstances", six), /^NetworkInterfaceLimitExceeded/)
  assert.equal((await launched(rig)).length, 0)
  assert.equal((await rig.ec2("RunInstances", { ...six, MinCount: 1 })).Instances?.length, 5)
  assert.match(await rig.fault("RunInstances", base), /^NetworkInterfaceLimitExceeded/)
  // Another region has a VPC of its own.
  assert.equal((await rig.ec2("RunInstances", base, { region: "eu-west-1" })).Instances?.length, 1)
})

test("a limit of vCPUs holds launches and starts, for each group of types and each account by itself", async (t) => {
  const rig = await rigWithImage(t)
  const service = createEc2({ ...rig.cloud, settings: { ...rig.cloud.settings, vcpuLimit: 8 } })
  const limited = async (operation: string, input: object, account = "123456789012") => {
    const caller = { account, arn: `arn:aws:iam::${account}:root`, userId: account }
    const info = { requestId: "r", operation, region: "us-east-1", caller }
    const answer = await service.dispatch(operation, input, info).catch((error: unknown) => ({ error: String(error) }))
    return answer as { Instances?: { InstanceId: string }[]; error?: string }
  }
  const run = { ...base, InstanceType: "t3.micro" }
  const first = await limited("RunInstances", { ...run, MinCount: 1, MaxCount: 3 })
  assert.equal(first.Instances?.length, 3)
  const rest = await limited("RunInstances", { ...run, InstanceType: "m5.large", MinCount: 1, MaxCount: 5 })
  assert.equal(rest.Instances?.length, 1, "as many as the limit leaves")
  const more = await limited("RunInstances", { ...run, InstanceType: "c5.large" })
  assert.match(more.error ?? "", /vCPU limit of 8/)
  assert.equal((await limited("RunInstances", { ...run, InstanceType: "g4dn.2xlarge" })).Instances?.length, 1)
  assert.equal((await limited("RunInstances", run, "210987654321")).Instances?.length, 1)

  const stopped = (first.Instances ?? []).map(({ InstanceId }) => InstanceId)
  for (const id of stopped) {
    await observe(rig.cloud, seen(id, "on"))
    await rig.ec2("StopInstances", { InstanceIds: [id] })
    await observe(rig.cloud, seen(id, "off"))
  }
  assert.equal((await limited("RunInstances", { ...run, MinCount: 2, MaxCount: 2 })).Instances?.length, 2)
  assert.match((await limited("StartInstances", { InstanceIds: stopped })).error ?? "", /vCPU limit of 8/)
  assert.equal((await limited("StartInstances", { InstanceIds: stopped.slice(1, 2) })).error, undefined)
})

const seen = (resource: string, phase: "on" | "off"): Observed => ({
  resource,
  generation: 1,
  status: { kind: "guest", phase, starts: 1, resets: 0 },
})

test("fifty launches at once all succeed, with addresses of their own", async (t) => {
  const rig = await rigWithImage(t)
  const answers = await Promise.all(Array.from({ length: 50 }, () => rig.ec2("RunInstances", base)))
  assert.equal(new Set(answers.map((answer) => answer.Instances?.[0]?.PrivateIpAddress)).size, 50)
})
