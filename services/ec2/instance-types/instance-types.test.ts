import assert from "node:assert/strict"
import { test } from "node:test"
import { openRig } from "#tests/ec2/rig.ts"
import { findInstanceType, instanceTypeNames } from "./data.ts"

test("one type is found with its facts, an unknown one is not", () => {
  const type = findInstanceType("t3.micro")
  assert.deepEqual(
    [type?.InstanceType, type?.VCpuInfo?.DefaultVCpus, type?.MemoryInfo?.SizeInMiB, type?.Hypervisor],
    ["t3.micro", 2, 1024, "nitro"],
  )
  assert.equal(findInstanceType("t3.mega"), undefined)
  assert.equal(findInstanceType("constructor"), undefined)
  assert.equal(instanceTypeNames().length, 1263)
  for (const name of instanceTypeNames()) assert.match(name, /^[a-z0-9-]+\.[a-z0-9-]+$/)
})

test("types are described by name, by filter and page by page", async (t) => {
  const rig = await openRig(t)
  const names = async (input: object) =>
    (await rig.ec2("DescribeInstanceTypes", input)).InstanceTypes?.map((type) => type.InstanceType)
  const filters = (given: Readonly<Record<string, string>>) => ({
    Filters: Object.entries(given).map(([Name, value]) => ({ Name, Values: [value] })),
  })
  assert.deepEqual(await names({ InstanceTypes: ["t3.micro", "a1.large"] }), ["t3.micro", "a1.large"])
  assert.deepEqual(await names(filters({ "instance-type": "t3.?????" })), ["t3.large", "t3.micro", "t3.small"])
  assert.deepEqual(
    await names(filters({ "memory-info.size-in-mib": "1024", "processor-info.supported-architecture": "arm64" })),
    ["t4g.micro"],
  )
  assert.deepEqual(
    await names(
      filters({ "free-tier-eligible": "true", hypervisor: "nitro", "burstable-performance-supported": "false" }),
    ),
    ["c7i-flex.large", "m7i-flex.large"],
  )
  assert.deepEqual(await names({ InstanceTypes: ["t3.micro"], ...filters({ "vcpu-info.default-vcpus": "4" }) }), [])
  assert.deepEqual(
    await names(
      filters({ "instance-type": "m1.*", "instance-storage-info.disk.type": "hdd", "vcpu-info.default-cores": "1" }),
    ),
    ["m1.medium", "m1.small"],
  )
  const seen: (string | undefined)[] = []
  let NextToken: string | undefined
  do {
    const page = await rig.ec2("DescribeInstanceTypes", { NextToken })
    assert.ok((page.InstanceTypes?.length ?? 0) <= 100)
    seen.push(...(page.InstanceTypes?.map((type) => type.InstanceType) ?? []))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(seen, instanceTypeNames())
})

test("what DescribeInstanceTypes refuses", async (t) => {
  const rig = await openRig(t)
  assert.equal(
    await rig.fault("DescribeInstanceTypes", { InstanceTypes: ["t3.micro", "t3.mega", "x"] as "t3.micro"[] }),
    "InvalidInstanceType: The following supplied instance types do not exist: [t3.mega, x]",
  )
  assert.match(
    await rig.fault("DescribeInstanceTypes", { InstanceTypes: ["t3.micro"], MaxResults: 5 }),
    /^InvalidParameterCombination/,
  )
  for (const MaxResults of [4, 101])
    assert.match(await rig.fault("DescribeInstanceTypes", { MaxResults }), /^InvalidParameterValue/)
  for (const Name of ["memory", undefined])
    assert.match(
      await rig.fault("DescribeInstanceTypes", { Filters: [{ Name, Values: ["1"] }] }),
      /^(Invalid|Missing)Parameter/,
    )
  assert.match(await rig.fault("DescribeInstanceTypes", { NextToken: "x" }), /^InvalidNextToken/)
  const { NextToken } = await rig.ec2("DescribeInstanceTypes", {})
  const Filters = [{ Name: "hypervisor", Values: ["xen"] }]
  assert.match(await rig.fault("DescribeInstanceTypes", { NextToken, Filters }), /^InvalidNextToken/)
})

test("every type is offered in the region and in each of its zones", async (t) => {
  const rig = await openRig(t)
  const first = await rig.ec2("DescribeInstanceTypeOfferings", {})
  assert.equal(first.InstanceTypeOfferings?.length, 1000)
  const rest = await rig.ec2("DescribeInstanceTypeOfferings", { NextToken: first.NextToken })
  assert.deepEqual([rest.InstanceTypeOfferings?.length, rest.NextToken], [263, undefined])
  const Filters = [{ Name: "instance-type", Values: ["t3.micro"] }]
  const located = async (
    LocationType: "availability-zone" | "availability-zone-id",
    ...more: { Name: string; Values: string[] }[]
  ) =>
    (
      await rig.ec2("DescribeInstanceTypeOfferings", { LocationType, Filters: [...Filters, ...more] })
    ).InstanceTypeOfferings?.map((one) => one.Location)
  assert.equal((await located("availability-zone"))?.length, 6)
  assert.deepEqual(await located("availability-zone", { Name: "location", Values: ["us-east-1b"] }), ["us-east-1b"])
  assert.deepEqual((await located("availability-zone-id"))?.slice(0, 2), ["use1-az1", "use1-az2"])
  assert.deepEqual(
    (await rig.ec2("DescribeInstanceTypeOfferings", { Filters }, { region: "eu-west-1" })).InstanceTypeOfferings,
    [{ InstanceType: "t3.micro", LocationType: "region", Location: "eu-west-1" }],
  )
  assert.match(
    await rig.fault("DescribeInstanceTypeOfferings", { LocationType: "moon" as "region" }),
    /^InvalidParameterValue/,
  )
  assert.match(
    await rig.fault("DescribeInstanceTypeOfferings", { Filters: [{ Name: "zone", Values: ["x"] }] }),
    /^InvalidParameterValue/,
  )
})
