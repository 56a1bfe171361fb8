/** What the host is told of encrypted volumes, and whose setting is whose. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Spec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { type Caller, openRig, type Rig } from "#tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)
const facts = { id: image, name, description: "", architecture: "x86_64", rootDeviceName: "/dev/xvda" } as const
const base = { ImageId: image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const

async function rigWithImage(t: Parameters<typeof openRig>[0]): Promise<Rig> {
  const rig = await openRig(t)
  await registerPublicImages(rig.cloud, [{ ...facts, sizeBytes: 2 ** 30, createdMs: 0 }])
  return rig
}

/** Keys that the host is told of for the volumes of the last launch. */
const keysTold = ({ assigned }: Rig) =>
  (assigned.at(-1)?.assign ?? [])
    .map(({ spec }) => spec as unknown as Spec)
    .flatMap((spec) => (spec.kind === "volume" ? [spec.key] : []))

const elsewhere: Caller = { region: "us-west-2" }
const other: Caller = { account: "210987654321" }

test("each account has a key of its own in each region, and its own defaults", async (t) => {
  const rig = await rigWithImage(t)
  const arns = new Set<string>()
  for (const caller of [{}, elsewhere, other]) {
    const { KmsKeyId = "" } = await rig.ec2("ResetEbsDefaultKmsKeyId", {}, caller)
    arns.add(KmsKeyId)
    const stranger = caller === other ? {} : other
    assert.match(await rig.fault("ModifyEbsDefaultKmsKeyId", { KmsKeyId }, stranger), /^InvalidParameterValue/)
  }
  assert.equal(new Set([...arns].map((arn) => arn.split("/")[1])).size, 3)
  await rig.ec2("EnableEbsEncryptionByDefault", {})
  const shown = async (caller: Caller) =>
    (await rig.ec2("GetEbsEncryptionByDefault", {}, caller)).EbsEncryptionByDefault
  assert.deepEqual([await shown({}), await shown(elsewhere), await shown(other)], [true, false, false])
})

test("the host is told a key's name for encrypted volumes alone, and gets no bytes of it", async (t) => {
  const rig = await rigWithImage(t)
  const Ebs = { VolumeSize: 1 }
  const mappings = [
    { DeviceName: "/dev/xvda", Ebs: { Encrypted: true } },
    { DeviceName: "/dev/sdb", Ebs },
    { DeviceName: "/dev/sdc", Ebs: { ...Ebs, Encrypted: true } },
  ]
  await rig.ec2("RunInstances", { ...base, BlockDeviceMappings: mappings })
  const [root, plain, data, ...rest] = keysTold(rig)
  assert.match(root ?? "", /^[0-9a-f-]{36}$/)
  assert.deepEqual([plain, data, rest], [undefined, root, []])
  const { Volumes = [] } = await rig.ec2("DescribeVolumes", { Filters: [{ Name: "encrypted", Values: ["true"] }] })
  assert.equal(Volumes.length, 2)
  assert.ok(Volumes.every((volume) => volume.KmsKeyId?.endsWith(`:123456789012:key/${root}`)))
})
