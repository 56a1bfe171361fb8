/** Public images come, become available and go, under one id. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { imageIdOf } from "#images/catalog.ts"
import { openRig } from "../../../tests/ec2/rig.ts"
import { type PublicImage, registerPublicImages } from "./register.ts"

const id = imageIdOf("slow-1-x86_64")
const slow: PublicImage = {
  id,
  name: "slow-1-x86_64",
  description: "",
  architecture: "x86_64",
  rootDeviceName: "/dev/xvda",
  sizeBytes: 2 ** 31,
  createdMs: 1_000,
  state: "pending",
}

test("an image that is being built is listed as pending and launches once it is there", async (t) => {
  const rig = await openRig(t)
  const states = async (): Promise<unknown[]> =>
    ((await rig.ec2("DescribeImages", {})).Images ?? []).map(({ ImageId, State }) => [ImageId, State])
  const wish = { ImageId: id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
  assert.match(await rig.fault("RunInstances", wish), /^InvalidAMIID.NotFound/)
  await registerPublicImages(rig.cloud, [slow])
  assert.deepEqual(await states(), [[id, "pending"]])
  const filters = [{ Name: "state", Values: ["available"] }]
  assert.deepEqual((await rig.ec2("DescribeImages", { Filters: filters })).Images, [])
  assert.match(await rig.fault("RunInstances", wish), /^InvalidAMIID.Unavailable: .*pending/)
  const { state: _, ...built } = slow
  await registerPublicImages(rig.cloud, [{ ...built, createdMs: 2_000 }])
  assert.deepEqual(await states(), [[id, "available"]])
  const { Instances: [instance] = [] } = await rig.ec2("RunInstances", wish)
  assert.equal(instance?.ImageId, id)
  await registerPublicImages(rig.cloud, [])
  assert.deepEqual(await states(), [])
  assert.match(await rig.fault("RunInstances", wish), /^InvalidAMIID.NotFound/)
})
