/** Types by their attributes, against what AWS's own tables of instance types say. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { ArchitectureType, InstanceRequirementsRequest } from "@aws-sdk/client-ec2"
import { openRig } from "#tests/ec2/rig.ts"

const any = { VCpuCount: { Min: 0 }, MemoryMiB: { Min: 0 } }

test("types are found by what they must have, and defaults leave out bare metal and burstable ones", async (t) => {
  const rig = await openRig(t)
  const find = async (asked: Partial<InstanceRequirementsRequest>, architecture: ArchitectureType = "x86_64") => {
    const { InstanceTypes = [] } = await rig.ec2("GetInstanceTypesFromInstanceRequirements", {
      ArchitectureTypes: [architecture],
      VirtualizationTypes: ["hvm"],
      InstanceRequirements: { ...any, ...asked },
    })
    return InstanceTypes.map(({ InstanceType }) => InstanceType ?? "")
  }
  const m5 = { AllowedInstanceTypes: ["m5.*"] }
  const sizes = ["12xlarge", "16xlarge", "24xlarge", "2xlarge", "4xlarge", "8xlarge", "large", "xlarge"]
  assert.deepEqual(
    await find(m5),
    sizes.map((size) => `m5.${size}`),
  )
  assert.deepEqual(await find({ ...m5, BareMetal: "required" }), ["m5.metal"])
  assert.equal((await find({ ...m5, BareMetal: "included" })).length, 9)
  assert.deepEqual(await find({ ...m5, VCpuCount: { Min: 4, Max: 8 } }), ["m5.2xlarge", "m5.xlarge"])
  assert.deepEqual(await find({ ...m5, MemoryMiB: { Min: 8192, Max: 8192 } }), ["m5.large"])
  assert.deepEqual(await find({ AllowedInstanceTypes: ["t3.*"] }), [])
  assert.equal((await find({ AllowedInstanceTypes: ["t3.*"], BurstablePerformance: "included" })).length, 7)
  // m5 has 4 GiB a vCPU, c5 2, r5 8.
  const large = (...Allowed: string[]) => Allowed.map((family) => `${family}.large`)
  const families = { AllowedInstanceTypes: large("c5", "m5", "m5a", "m5d", "m6g", "r5") }
  assert.deepEqual(await find({ ...families, MemoryGiBPerVCpu: { Min: 4, Max: 4 } }), large("m5", "m5a", "m5d"))
  assert.deepEqual(await find({ ...families, MemoryGiBPerVCpu: { Max: 2 } }), large("c5"))
  assert.deepEqual(await find({ ...families, CpuManufacturers: ["amd"] }), large("m5a"))
  assert.deepEqual(await find({ ...families, CpuManufacturers: ["amazon-web-services"] }, "arm64"), large("m6g"))
  assert.deepEqual(await find({ ...families, LocalStorage: "required" }), large("m5d"))
  assert.deepEqual(await find({ ...families, LocalStorage: "excluded" }), large("c5", "m5", "m5a", "r5"))
  assert.deepEqual(await find({ ...families, LocalStorageTypes: ["ssd"] }), large("m5d"))
  assert.deepEqual(await find({ ...families, LocalStorageTypes: ["hdd"] }), [])
  // One disk of 75 GB.
  assert.deepEqual(await find({ ...families, TotalLocalStorageGB: { Min: 75, Max: 75 } }), large("m5d"))
  assert.deepEqual(await find({ AllowedInstanceTypes: ["d2.xlarge"], LocalStorageTypes: ["hdd"] }), ["d2.xlarge"])
  assert.deepEqual(await find({ ...families, RequireHibernateSupport: true }), large("c5", "m5", "m5a", "m5d", "r5"))
  assert.deepEqual(
    await find({ AllowedInstanceTypes: large("m5", "m5n"), RequireEncryptionInTransit: true }),
    large("m5n"),
  )
  const generations = { AllowedInstanceTypes: ["m3.large", "m7i.large"] }
  assert.deepEqual(await find(generations), ["m3.large", "m7i.large"])
  assert.deepEqual(await find({ ...generations, InstanceGenerations: ["previous"] }), ["m3.large"])
  assert.deepEqual(await find({ ...generations, InstanceGenerations: ["current"] }), ["m7i.large"])
  // m5.large: 3 interfaces, 0.75 Gbit/s, 650 Mbit/s to EBS; m5.8xlarge: 8 interfaces, 10 Gbit/s, 6,800 Mbit/s.
  const two = { AllowedInstanceTypes: ["m5.large", "m5.8xlarge"] }
  assert.deepEqual(await find({ ...two, NetworkInterfaceCount: { Max: 3 } }), ["m5.large"])
  assert.deepEqual(await find({ ...two, NetworkBandwidthGbps: { Min: 0.75, Max: 1 } }), ["m5.large"])
  assert.deepEqual(await find({ ...two, NetworkBandwidthGbps: { Min: 10 } }), ["m5.8xlarge"])
  assert.deepEqual(await find({ ...two, BaselineEbsBandwidthMbps: { Min: 651 } }), ["m5.8xlarge"])
})

test("accelerators are found by sort, maker, name, number and memory", async (t) => {
  const rig = await openRig(t)
  const find = async (asked: Partial<InstanceRequirementsRequest>) => {
    const { InstanceTypes = [] } = await rig.ec2("GetInstanceTypesFromInstanceRequirements", {
      ArchitectureTypes: ["x86_64"],
      VirtualizationTypes: ["hvm"],
      InstanceRequirements: { ...any, ...asked },
    })
    return InstanceTypes.map(({ InstanceType }) => InstanceType ?? "")
  }
  const inferentia = ["inf1.24xlarge", "inf1.2xlarge", "inf1.6xlarge", "inf1.xlarge"]
  assert.deepEqual(await find({ AcceleratorNames: ["inferentia"] }), inferentia)
  assert.deepEqual(await find({ AcceleratorNames: ["radeon-pro-v520"], AcceleratorCount: { Min: 2 } }), [
    "g4ad.16xlarge",
    "g4ad.8xlarge",
  ])
  const families = async (asked: Partial<InstanceRequirementsRequest>) => [
    ...new Set((await find(asked)).map((name) => name.split(".")[0])),
  ]
  assert.deepEqual(await families({ AcceleratorTypes: ["fpga"] }), ["f2"])
  assert.deepEqual(await families({ AcceleratorTypes: ["media"] }), ["vt1"])
  assert.deepEqual(await families({ AcceleratorManufacturers: ["habana"] }), ["dl1"])
  assert.deepEqual(await families({ AcceleratorManufacturers: ["amd"] }), ["g4ad"])
  // g5.xlarge: one A10G of 24 GB (22,888 MiB as DescribeInstanceTypes has it); g5.48xlarge: eight.
  const a10g = { AcceleratorNames: ["a10g"] as const satisfies InstanceRequirementsRequest["AcceleratorNames"] }
  assert.deepEqual(await find({ AcceleratorNames: [...a10g.AcceleratorNames], AcceleratorCount: { Min: 8 } }), [
    "g5.48xlarge",
  ])
  const memory = { AcceleratorTotalMemoryMiB: { Min: 150_000 } }
  assert.deepEqual(await find({ AcceleratorNames: [...a10g.AcceleratorNames], ...memory }), ["g5.48xlarge"])
  // None at all.
  const none = { AllowedInstanceTypes: ["g5.xlarge", "m5.large"], AcceleratorCount: { Max: 0 } }
  assert.deepEqual(await find(none), ["m5.large"])
})

test("allowed and excluded names have one wild card, which means any run of characters", async (t) => {
  const rig = await openRig(t)
  const find = async (asked: Partial<InstanceRequirementsRequest>) => {
    const { InstanceTypes = [] } = await rig.ec2("GetInstanceTypesFromInstanceRequirements", {
      ArchitectureTypes: ["x86_64"],
      VirtualizationTypes: ["hvm"],
      InstanceRequirements: { ...any, VCpuCount: { Min: 2, Max: 2 }, ...asked },
    })
    return InstanceTypes.map(({ InstanceType }) => InstanceType ?? "")
  }
  const c5 = ["c5.large", "c5a.large", "c5ad.large", "c5d.large", "c5n.large"]
  assert.deepEqual(await find({ AllowedInstanceTypes: ["c5*"] }), c5)
  assert.deepEqual(await find({ AllowedInstanceTypes: ["c5.*"] }), ["c5.large"])
  assert.deepEqual(await find({ AllowedInstanceTypes: ["c*5*n*ge"] }), ["c5n.large"])
  assert.deepEqual(await find({ AllowedInstanceTypes: ["c5.largex*", "*c5.large", "c5.large*large"] }), ["c5.large"])
  const left = await find({ ExcludedInstanceTypes: ["c5*", "r*"] })
  assert.ok(left.includes("m5.large"))
  assert.deepEqual(
    left.filter((name) => /^(c5|r)/.test(name)),
    [],
  )
  // As many as AWS takes, each as bad as it can be.
  const ExcludedInstanceTypes = Array.from({ length: 400 }, (_, index) => `*${index}*a*a*a*a*a*a*a*a*a*`)
  assert.deepEqual(await find({ ExcludedInstanceTypes }), await find({}))
})
