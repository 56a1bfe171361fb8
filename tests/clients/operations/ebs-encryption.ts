/** Encrypted volumes of launches, encryption by default and the default key. */
import assert from "node:assert/strict"
import type { Volume } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const arn = /^arn:aws:kms:us-east-1:\d{12}:key\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/
const device = (DeviceName: string, Ebs: object) => ({ DeviceName, Ebs: { VolumeSize: 2, ...Ebs } })

async function volumesOf({ ec2 }: TestCloud, instance: string): Promise<readonly Volume[]> {
  const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
  const { Volumes = [] } = await ec2("DescribeVolumes", { Filters })
  const name = (volume: Volume) => volume.Attachments?.[0]?.Device ?? ""
  return Volumes.toSorted((a, b) => name(a).localeCompare(name(b)))
}

async function launched(cloud: TestCloud, ...BlockDeviceMappings: ReturnType<typeof device>[]) {
  const [id] = await cloud.launch({ BlockDeviceMappings })
  const volumes = await volumesOf(cloud, id)
  await cloud.ec2("TerminateInstances", { InstanceIds: [id] })
  return volumes.map((volume) => [volume.Encrypted, volume.KmsKeyId ?? ""] as const)
}

export const ebsEncryption = {
  async GetEbsEncryptionByDefault({ ec2, refusal }) {
    assert.equal((await ec2("GetEbsEncryptionByDefault", {})).EbsEncryptionByDefault, false)
    assert.equal(await refusal("GetEbsEncryptionByDefault", { DryRun: true }), "412 DryRunOperation")
  },

  async EnableEbsEncryptionByDefault(cloud) {
    const { ec2, refusal } = cloud
    assert.deepEqual(await launched(cloud), [[false, ""]])
    assert.equal(await refusal("EnableEbsEncryptionByDefault", { DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2("EnableEbsEncryptionByDefault", {})).EbsEncryptionByDefault, true)
    assert.equal((await ec2("GetEbsEncryptionByDefault", {})).EbsEncryptionByDefault, true)
    // Also where the launch says that it should not be.
    for (const [encrypted, key] of await launched(
      cloud,
      device("/dev/sdb", {}),
      device("/dev/sdc", { Encrypted: false }),
    )) {
      assert.equal(encrypted, true)
      assert.match(key, arn)
    }
    await ec2("DisableEbsEncryptionByDefault", {})
  },

  async DisableEbsEncryptionByDefault(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DisableEbsEncryptionByDefault"
    await ec2("EnableEbsEncryptionByDefault", {})
    assert.equal(await refusal(operation, { DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2(operation, {})).EbsEncryptionByDefault, false)
    assert.equal((await ec2(operation, {})).EbsEncryptionByDefault, false)
    const [root, data, plain] = await launched(
      cloud,
      device("/dev/sdb", { Encrypted: true }),
      device("/dev/sdc", { Encrypted: false }),
    ).then((found) => [found.at(-1), found[0], found[1]])
    assert.deepEqual([root?.[0], data?.[0], plain?.[0]], [false, true, false])
  },

  async GetEbsDefaultKmsKeyId({ ec2, refusal }) {
    assert.equal((await ec2("GetEbsDefaultKmsKeyId", {})).KmsKeyId, "alias/aws/ebs")
    assert.equal(await refusal("GetEbsDefaultKmsKeyId", { DryRun: true }), "412 DryRunOperation")
  },

  async ModifyEbsDefaultKmsKeyId(cloud) {
    const { ec2, refusal } = cloud
    const operation = "ModifyEbsDefaultKmsKeyId"
    const { KmsKeyId = "" } = await ec2(operation, { KmsKeyId: "alias/aws/ebs" })
    assert.match(KmsKeyId, arn)
    assert.equal((await ec2("GetEbsDefaultKmsKeyId", {})).KmsKeyId, KmsKeyId)
    const id = KmsKeyId.split("/")[1] ?? ""
    const aliasArn = KmsKeyId.replace(/key\/.*$/, "alias/aws/ebs")
    for (const name of [id, KmsKeyId, aliasArn])
      assert.equal((await ec2(operation, { KmsKeyId: name })).KmsKeyId, KmsKeyId, name)
    for (const name of ["alias/mine", `${id}0`, KmsKeyId.replace("us-east-1", "us-west-2"), "aws/ebs"])
      assert.equal(await refusal(operation, { KmsKeyId: name }), "400 InvalidParameterValue", name)
    assert.equal(await refusal(operation, { KmsKeyId: "" }), "400 MissingParameter")
    // The forms that a launch may name it by.
    for (const name of ["alias/aws/ebs", id, KmsKeyId, aliasArn]) {
      const found = await launched(cloud, device("/dev/sdb", { Encrypted: true, KmsKeyId: name }))
      assert.deepEqual(found[0], [true, KmsKeyId], name)
    }
    const run = (Ebs: object) => ({
      ImageId: cloud.image,
      InstanceType: "t3.micro" as const,
      MinCount: 1,
      MaxCount: 1,
      BlockDeviceMappings: [device("/dev/sdb", Ebs)],
    })
    assert.equal(
      await refusal("RunInstances", run({ Encrypted: true, KmsKeyId: "alias/mine" })),
      "400 InvalidParameterValue",
    )
    for (const Ebs of [{ KmsKeyId }, { KmsKeyId, Encrypted: false }])
      assert.equal(await refusal("RunInstances", run(Ebs)), "400 InvalidParameterDependency")
    await ec2("ResetEbsDefaultKmsKeyId", {})
  },

  async ResetEbsDefaultKmsKeyId({ ec2, refusal }) {
    const { KmsKeyId } = await ec2("ModifyEbsDefaultKmsKeyId", { KmsKeyId: "alias/aws/ebs" })
    assert.equal(await refusal("ResetEbsDefaultKmsKeyId", { DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2("GetEbsDefaultKmsKeyId", {})).KmsKeyId, KmsKeyId)
    assert.equal((await ec2("ResetEbsDefaultKmsKeyId", {})).KmsKeyId, KmsKeyId)
    assert.equal((await ec2("GetEbsDefaultKmsKeyId", {})).KmsKeyId, "alias/aws/ebs")
  },
} satisfies Checks
