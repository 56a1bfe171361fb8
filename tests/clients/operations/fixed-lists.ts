import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"

export const fixedLists = {
  async DescribeRegions({ ec2, refusal }) {
    const { Regions = [] } = await ec2("DescribeRegions", { RegionNames: ["eu-central-1", "us-east-1"] })
    assert.deepEqual(Regions.map((region) => region.RegionName ?? "").toSorted(), ["eu-central-1", "us-east-1"])
    const { Regions: all = [] } = await ec2("DescribeRegions", { AllRegions: true })
    assert.ok(all.length > 15)
    assert.equal(await refusal("DescribeRegions", { RegionNames: ["mars-1"] }), "400 InvalidParameterValue")
  },

  async DescribeAvailabilityZones({ ec2, refusal }) {
    const { AvailabilityZones = [] } = await ec2("DescribeAvailabilityZones", {})
    assert.deepEqual(
      AvailabilityZones.map((zone) => zone.ZoneName),
      ["a", "b", "c", "d", "e", "f"].map((letter) => `us-east-1${letter}`),
    )
    const Filters = [{ Name: "zone-name", Values: ["*b"] }]
    const { AvailabilityZones: one = [] } = await ec2("DescribeAvailabilityZones", { Filters })
    assert.deepEqual(
      one.map((zone) => [zone.ZoneName, zone.State]),
      [["us-east-1b", "available"]],
    )
    const unknown = { ZoneNames: ["us-east-1z"] }
    assert.equal(await refusal("DescribeAvailabilityZones", unknown), "400 InvalidParameterValue")
  },

  async DescribeInstanceTypes({ ec2, refusal }) {
    const { InstanceTypes = [] } = await ec2("DescribeInstanceTypes", { InstanceTypes: ["t3.micro", "m5.large"] })
    assert.deepEqual(
      InstanceTypes.map(
        (type) => `${type.InstanceType} ${type.VCpuInfo?.DefaultVCpus} ${type.MemoryInfo?.SizeInMiB}`,
      ).toSorted(),
      ["m5.large 2 8192", "t3.micro 2 1024"],
    )
    const Filters = [{ Name: "processor-info.supported-architecture", Values: ["arm64"] }]
    const { InstanceTypes: arm = [], NextToken } = await ec2("DescribeInstanceTypes", { Filters, MaxResults: 5 })
    assert.equal(arm.length, 5)
    assert.ok(NextToken)
    assert.ok(arm.every((type) => type.ProcessorInfo?.SupportedArchitectures?.includes("arm64")))
    const unknown = { InstanceTypes: ["t9.micro" as never] }
    assert.equal(await refusal("DescribeInstanceTypes", unknown), "400 InvalidInstanceType")
    assert.equal(await refusal("DescribeInstanceTypes", { MaxResults: 101 }), "400 InvalidParameterValue")
  },

  async DescribeInstanceTypeOfferings({ ec2, refusal }) {
    const Filters = [{ Name: "instance-type", Values: ["t3.micro"] }]
    const { InstanceTypeOfferings = [] } = await ec2("DescribeInstanceTypeOfferings", {
      Filters,
      LocationType: "availability-zone",
    })
    assert.equal(InstanceTypeOfferings.length, 6)
    assert.ok(InstanceTypeOfferings.every((row) => row.InstanceType === "t3.micro"))
    const bad = { LocationType: "planet" as never }
    assert.equal(await refusal("DescribeInstanceTypeOfferings", bad), "400 InvalidParameterValue")
  },

  async GetInstanceTypesFromInstanceRequirements({ ec2, refusal }) {
    const operation = "GetInstanceTypesFromInstanceRequirements"
    const input = { ArchitectureTypes: ["x86_64" as const], VirtualizationTypes: ["hvm" as const] }
    const small = { VCpuCount: { Min: 2, Max: 2 }, MemoryMiB: { Min: 1024, Max: 1024 } }
    const find = async (InstanceRequirements: object) => {
      const { InstanceTypes = [] } = await ec2(operation, {
        ...input,
        InstanceRequirements: { ...small, ...InstanceRequirements },
      })
      return InstanceTypes.map(({ InstanceType }) => InstanceType)
    }
    assert.deepEqual(await find({ BurstablePerformance: "required" }), ["t3.micro", "t3a.micro"])
    assert.deepEqual(await find({}), [])
    const all = { ...input, InstanceRequirements: { VCpuCount: { Min: 0 }, MemoryMiB: { Min: 0 } } }
    const { InstanceTypes: [first] = [], NextToken } = await ec2(operation, { ...all, MaxResults: 1 })
    const { InstanceTypes: [second] = [] } = await ec2(operation, { ...all, MaxResults: 1, NextToken })
    assert.ok((first?.InstanceType ?? "") < (second?.InstanceType ?? ""))
    const refused = (requirements: object, more = {}) =>
      refusal(operation, { ...input, InstanceRequirements: { ...small, ...requirements }, ...more })
    assert.equal(await refused({}, { ArchitectureTypes: [] }), "400 MissingParameter")
    assert.equal(await refused({ MemoryMiB: {} }), "400 MissingParameter")
    assert.equal(await refused({ BareMetal: "always" }), "400 InvalidParameterValue")
    assert.equal(await refused({ VCpuCount: { Min: 4, Max: 2 } }), "400 InvalidParameterValue")
    assert.equal(await refused({ SpotMaxPricePercentageOverLowestPrice: 5 }), "400 InvalidParameterValue")
    const both = { AllowedInstanceTypes: ["t3.*"], ExcludedInstanceTypes: ["t2.*"] }
    assert.equal(await refused(both), "400 InvalidParameterCombination")
    assert.equal(await refused({}, { DryRun: true }), "412 DryRunOperation")
  },

  async DescribeImages({ ec2, refusal, image }) {
    const { Images = [] } = await ec2("DescribeImages", { ImageIds: [image] })
    assert.equal(Images[0]?.State, "available")
    const Filters = [{ Name: "name", Values: ["debian-12-*"] }]
    const { Images: debian = [] } = await ec2("DescribeImages", { Filters })
    assert.deepEqual(
      debian.map((each) => [each.RootDeviceName, each.Architecture]),
      [["/dev/xvda", "x86_64"]],
    )
    const { Images: own = [] } = await ec2("DescribeImages", { Owners: ["self"] })
    assert.ok(own.every((each) => each.ImageId !== image))
    assert.equal(await refusal("DescribeImages", { ImageIds: ["ami-00000000"] }), "400 InvalidAMIID.NotFound")
    assert.equal(await refusal("DescribeImages", { ImageIds: ["image"] }), "400 InvalidAMIID.Malformed")
    assert.equal(await refusal("DescribeImages", { Owners: ["nobody"] }), "400 InvalidUserID.Malformed")
  },

  async DescribeAccountAttributes({ ec2, refusal }) {
    const { AccountAttributes = [] } = await ec2("DescribeAccountAttributes", {})
    const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
    const values = new Map(
      AccountAttributes.map((each) => [each.AttributeName, each.AttributeValues?.map((value) => value.AttributeValue)]),
    )
    assert.deepEqual(values.get("supported-platforms"), ["VPC"])
    assert.deepEqual(values.get("default-vpc"), [vpc?.VpcId])
    const unknown = { AttributeNames: ["luck" as never] }
    assert.equal(await refusal("DescribeAccountAttributes", unknown), "400 InvalidParameterValue")
  },
} satisfies Checks
