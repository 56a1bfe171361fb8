import assert from "node:assert/strict"
import type { InstanceAttribute, InstanceAttributeName } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nobody = "i-00000000000000000"

async function attribute({ ec2 }: TestCloud, id: string, name: InstanceAttributeName): Promise<InstanceAttribute> {
  return ec2("DescribeInstanceAttribute", { InstanceId: id, Attribute: name })
}

async function stop({ ec2, daemon }: TestCloud, id: string): Promise<void> {
  await ec2("StopInstances", { InstanceIds: [id] })
  await daemon.settled()
}

/** What can be modified while stopped only, with another value than a new instance has. */
const whileStopped = {
  instanceType: { InstanceType: { Value: "t3.small" } },
  userData: { UserData: { Value: Buffer.from("later") } },
  ebsOptimized: { EbsOptimized: { Value: true } },
  enaSupport: { EnaSupport: { Value: true } },
  sriovNetSupport: { SriovNetSupport: { Value: "simple" } },
  enclaveOptions: { EnclaveOptions: { Enabled: false } },
} as const

export const instanceAttributes = {
  async DescribeInstanceAttribute(cloud) {
    const { refusal, launch } = cloud
    const UserData = Buffer.from("#!/bin/sh\n").toString("base64")
    const [id] = await launch({ UserData, InstanceInitiatedShutdownBehavior: "terminate", EbsOptimized: true })
    const of = async (name: InstanceAttributeName) => {
      const { InstanceId, ...shown } = await attribute(cloud, id, name)
      assert.equal(InstanceId, id)
      return shown
    }
    assert.deepEqual(await of("userData"), { UserData: { Value: UserData } })
    assert.deepEqual(await of("instanceInitiatedShutdownBehavior"), {
      InstanceInitiatedShutdownBehavior: { Value: "terminate" },
    })
    assert.deepEqual(await of("rootDeviceName"), { RootDeviceName: { Value: "/dev/xvda" } })
    assert.deepEqual(await of("disableApiStop"), { DisableApiStop: { Value: false } })
    assert.deepEqual(await of("disableApiTermination"), { DisableApiTermination: { Value: false } })
    assert.deepEqual(await of("ebsOptimized"), { EbsOptimized: { Value: true } })
    assert.deepEqual(await of("enaSupport"), { EnaSupport: { Value: true } })
    assert.deepEqual(await of("enclaveOptions"), { EnclaveOptions: { Enabled: false } })
    assert.deepEqual(await of("sourceDestCheck"), { SourceDestCheck: { Value: true } })
    assert.deepEqual(await of("instanceType"), { InstanceType: { Value: "t3.micro" } })
    assert.deepEqual(await of("kernel"), { KernelId: {} })
    assert.deepEqual(await of("ramdisk"), { RamdiskId: {} })
    assert.deepEqual(await of("sriovNetSupport"), { SriovNetSupport: {} })
    assert.deepEqual(await of("productCodes"), { ProductCodes: [] })
    assert.equal((await of("groupSet")).Groups?.[0]?.GroupName, "default")
    const [device] = (await of("blockDeviceMapping")).BlockDeviceMappings ?? []
    assert.deepEqual([device?.DeviceName, device?.Ebs?.Status], ["/dev/xvda", "attached"])
    const unknown = { InstanceId: id, Attribute: "mood" as never }
    assert.equal(await refusal("DescribeInstanceAttribute", unknown), "400 InvalidParameterValue")
    const none = { InstanceId: nobody, Attribute: "userData" } as const
    assert.equal(await refusal("DescribeInstanceAttribute", none), "400 InvalidInstanceID.NotFound")
  },

  async ModifyInstanceAttribute(cloud) {
    const { ec2, refusal, launch, name, daemon } = cloud
    const [id] = await launch()
    const modify = (change: object) => ec2("ModifyInstanceAttribute", { InstanceId: id, ...change })
    const refused = (change: object) => refusal("ModifyInstanceAttribute", { InstanceId: id, ...change })
    for (const change of Object.values(whileStopped)) assert.equal(await refused(change), "400 IncorrectInstanceState")

    await modify({ DisableApiTermination: { Value: true } })
    await modify({ Attribute: "disableApiStop", Value: "true" })
    assert.equal(await refusal("TerminateInstances", { InstanceIds: [id] }), "400 OperationNotPermitted")
    assert.equal(await refusal("StopInstances", { InstanceIds: [id] }), "400 OperationNotPermitted")
    await modify({ DisableApiStop: { Value: false } })
    await modify({ SourceDestCheck: { Value: false } })
    const { NetworkInterfaces: [networkInterface] = [] } = await ec2("DescribeNetworkInterfaces", {
      Filters: [{ Name: "attachment.instance-id", Values: [id] }],
    })
    assert.equal(networkInterface?.SourceDestCheck, false)
    const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName: name(), Description: "moved into" })
    await modify({ Groups: [GroupId] })
    assert.deepEqual(
      (await attribute(cloud, id, "groupSet")).Groups?.map((group) => group.GroupId),
      [GroupId],
    )
    await modify({ BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { DeleteOnTermination: false } }] })
    const { Volumes: [volume] = [] } = await ec2("DescribeVolumes", {
      Filters: [{ Name: "attachment.instance-id", Values: [id] }],
    })
    assert.equal(volume?.Attachments?.[0]?.DeleteOnTermination, false)
    assert.equal(
      (await attribute(cloud, id, "blockDeviceMapping")).BlockDeviceMappings?.[0]?.Ebs?.DeleteOnTermination,
      false,
    )

    await stop(cloud, id)
    for (const [attributeName, change] of Object.entries(whileStopped)) {
      await modify(change)
      const shown = Object.values(await attribute(cloud, id, attributeName as InstanceAttributeName))
      const [expected] = Object.values(change)
      const value =
        attributeName === "userData" ? { Value: Buffer.from("later").toString("base64") } : (expected as object)
      assert.deepEqual(
        shown.find((each) => typeof each === "object"),
        value,
      )
    }
    assert.equal(await refused({ InstanceType: { Value: "t9.micro" } }), "400 InvalidInstanceAttributeValue")
    assert.equal(await refused({ InstanceType: { Value: "t4g.micro" } }), "400 InvalidInstanceAttributeValue")
    // An older type has neither EBS optimization nor ENA; a newer one cannot do without.
    assert.equal(await refused({ InstanceType: { Value: "t2.micro" } }), "400 Unsupported")
    await modify({ EbsOptimized: { Value: false } })
    await modify({ InstanceType: { Value: "t2.micro" } })
    await modify({ EnaSupport: { Value: false } })
    assert.equal(await refused({ InstanceType: { Value: "m5.large" } }), "400 InvalidParameterCombination")
    assert.equal(await refused({ EnclaveOptions: { Enabled: true } }), "400 UnsupportedOperation")
    assert.equal(await refused({ Kernel: { Value: "aki-01234567" } }), "400 UnsupportedOperation")
    assert.equal(await refused({ Attribute: "ramdisk", Value: "ari-01234567" }), "400 UnsupportedOperation")
    assert.equal(await refused({ SriovNetSupport: { Value: "double" } }), "400 InvalidParameterValue")

    assert.equal(await refused({}), "400 InvalidParameterCombination")
    assert.equal(await refused({ Attribute: "disableApiStop" }), "400 MissingParameter")
    assert.equal(await refused({ Attribute: "disableApiStop", Value: "maybe" }), "400 InvalidParameterValue")
    assert.equal(await refused({ Attribute: "rootDeviceName", Value: "/dev/sda1" }), "400 InvalidParameterValue")
    const two = { DisableApiStop: { Value: true }, EbsOptimized: { Value: true } }
    assert.equal(await refused(two), "400 InvalidParameterCombination")
    const other = { Attribute: "userData", DisableApiStop: { Value: true } }
    assert.equal(await refused(other), "400 InvalidParameterCombination")
    assert.equal(await refused({ Groups: ["sg-00000000"] }), "400 InvalidGroup.NotFound")
    const nowhere = { BlockDeviceMappings: [{ DeviceName: "/dev/sdz", Ebs: { DeleteOnTermination: true } }] }
    assert.equal(await refused(nowhere), "400 InvalidInstanceAttributeValue")
    const dry = { DisableApiTermination: { Value: false }, DryRun: true }
    assert.equal(await refused(dry), "412 DryRunOperation")
    assert.equal((await attribute(cloud, id, "disableApiTermination")).DisableApiTermination?.Value, true)

    await modify({ DisableApiTermination: { Value: false } })
    await ec2("TerminateInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await refused({ DisableApiStop: { Value: true } }), "400 IncorrectInstanceState")
    // What was said of the root volume holds: it is nobody's now.
    const { Volumes: [left] = [] } = await ec2("DescribeVolumes", { VolumeIds: [volume?.VolumeId ?? ""] })
    assert.equal(left?.State, "available")
  },

  async ResetInstanceAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const [id] = await launch()
    await ec2("ModifyInstanceAttribute", { InstanceId: id, SourceDestCheck: { Value: false } })
    const check = { InstanceId: id, Attribute: "sourceDestCheck" } as const
    assert.equal(await refusal("ResetInstanceAttribute", { ...check, DryRun: true }), "412 DryRunOperation")
    assert.equal((await attribute(cloud, id, "sourceDestCheck")).SourceDestCheck?.Value, false)
    await ec2("ResetInstanceAttribute", check)
    assert.equal((await attribute(cloud, id, "sourceDestCheck")).SourceDestCheck?.Value, true)
    const refused = (Attribute: string) =>
      refusal("ResetInstanceAttribute", { InstanceId: id, Attribute: Attribute as never })
    assert.equal(await refused("kernel"), "400 IncorrectInstanceState")
    await stop(cloud, id)
    await ec2("ResetInstanceAttribute", { InstanceId: id, Attribute: "kernel" })
    assert.equal(await refused("userData"), "400 InvalidParameterValue")
    assert.equal(await refused("mood"), "400 InvalidParameterValue")
    const none = await refusal("ResetInstanceAttribute", { ...check, InstanceId: nobody })
    assert.equal(none, "400 InvalidInstanceID.NotFound")
  },
} satisfies Checks
