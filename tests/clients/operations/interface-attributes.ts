import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const missing = { NetworkInterfaceId: "eni-00000000" }
const notFound = "400 InvalidNetworkInterfaceID.NotFound"

async function interfaceOf({ ec2 }: TestCloud, instance: string) {
  const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
  const { NetworkInterfaces: [own] = [] } = await ec2("DescribeNetworkInterfaces", { Filters })
  return own ?? assert.fail("no interface")
}

async function instanceOf({ ec2 }: TestCloud, id: string) {
  const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0] ?? assert.fail("no instance")
}

export const interfaceAttributes = {
  async DescribeNetworkInterfaceAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "DescribeNetworkInterfaceAttribute"
    const [instance] = await launch({ NetworkInterfaces: [{ DeviceIndex: 0, Description: "the first" }] })
    const own = await interfaceOf(cloud, instance)
    const NetworkInterfaceId = own.NetworkInterfaceId ?? ""
    const shown = (Attribute: "attachment" | "description" | "groupSet" | "sourceDestCheck") =>
      ec2(operation, { NetworkInterfaceId, Attribute })
    assert.deepEqual(await shown("description"), { NetworkInterfaceId, Description: { Value: "the first" } })
    assert.deepEqual(await shown("groupSet"), { NetworkInterfaceId, Groups: own.Groups })
    assert.deepEqual(await shown("sourceDestCheck"), { NetworkInterfaceId, SourceDestCheck: { Value: true } })
    const { Attachment } = await shown("attachment")
    assert.deepEqual([Attachment?.InstanceId, Attachment?.AttachmentId], [instance, own.Attachment?.AttachmentId])
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    assert.equal(await refusal(operation, { NetworkInterfaceId }), "400 MissingParameter")
    const unknown = { NetworkInterfaceId, Attribute: "toString" as "description" }
    assert.equal(await refusal(operation, unknown), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { ...missing, Attribute: "description" }), notFound)
  },

  async ModifyNetworkInterfaceAttribute(cloud) {
    const { ec2, refusal, launch, daemon, name } = cloud
    const operation = "ModifyNetworkInterfaceAttribute"
    const [instance] = await launch()
    const { NetworkInterfaceId = "", Attachment } = await interfaceOf(cloud, instance)
    const modify = (input: object) => ec2(operation, { NetworkInterfaceId, ...input })
    await modify({ Description: { Value: "changed" } })
    await modify({ SourceDestCheck: { Value: false } })
    const { GroupId = "" } = await ec2("CreateSecurityGroup", { GroupName: name(), Description: "of an interface" })
    await modify({ Groups: [GroupId, GroupId] })
    const AttachmentId = Attachment?.AttachmentId
    await modify({ Attachment: { AttachmentId, DeleteOnTermination: false } })
    const changed = await interfaceOf(cloud, instance)
    assert.deepEqual([changed.Description, changed.SourceDestCheck], ["changed", false])
    const ids = (groups: readonly { readonly GroupId?: string | undefined }[] = []) =>
      groups.map((each) => each.GroupId)
    const shown = await instanceOf(cloud, instance)
    assert.deepEqual(
      [ids(changed.Groups), ids(shown.SecurityGroups), shown.SourceDestCheck],
      [[GroupId], [GroupId], false],
    )
    assert.equal(await refusal("DeleteSecurityGroup", { GroupId }), "400 DependencyViolation")

    const refused = (input: object) => refusal(operation, { NetworkInterfaceId, ...input })
    assert.equal(await refused({}), "400 InvalidParameterCombination")
    const two = { Description: { Value: "two" }, SourceDestCheck: { Value: true } }
    assert.equal(await refused(two), "400 InvalidParameterCombination")
    assert.equal(await refused({ Groups: ["sg-00000000"] }), "400 InvalidGroup.NotFound")
    const otherAttachment = { AttachmentId: "eni-attach-00000000", DeleteOnTermination: true }
    assert.equal(await refused({ Attachment: otherAttachment }), "400 InvalidAttachmentID.NotFound")
    assert.equal(await refused({ Attachment: { AttachmentId } }), "400 MissingParameter")
    assert.equal(await refused({ EnaSrdSpecification: { EnaSrdEnabled: true } }), "400 UnsupportedOperation")
    assert.equal(await refused({ ...missing, Description: { Value: "x" } }), notFound)
    assert.equal((await interfaceOf(cloud, instance)).Description, "changed")

    // It outlives its instance now, and can be changed alone.
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    await daemon.settled()
    await modify({ Description: { Value: "left" } })
    const { NetworkInterfaces: [left] = [] } = await ec2("DescribeNetworkInterfaces", {
      NetworkInterfaceIds: [NetworkInterfaceId],
    })
    assert.deepEqual([left?.Status, left?.Description, left?.Attachment], ["available", "left", undefined])
  },

  async ResetNetworkInterfaceAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ResetNetworkInterfaceAttribute"
    const [instance] = await launch()
    const { NetworkInterfaceId = "" } = await interfaceOf(cloud, instance)
    await ec2("ModifyNetworkInterfaceAttribute", { NetworkInterfaceId, SourceDestCheck: { Value: false } })
    await ec2(operation, { NetworkInterfaceId, SourceDestCheck: "true" })
    assert.equal((await interfaceOf(cloud, instance)).SourceDestCheck, true)
    assert.equal((await instanceOf(cloud, instance)).SourceDestCheck, true)
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    assert.equal(await refusal(operation, { NetworkInterfaceId }), "400 MissingParameter")
    assert.equal(await refusal(operation, { ...missing, SourceDestCheck: "true" }), notFound)
  },
} satisfies Checks
