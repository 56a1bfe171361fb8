/** What is different for Windows. There is no medium to try it with: the guest here is what a host would say of one. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { imageIdOf } from "#images/catalog.ts"
import { openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"
import { createEc2 } from "../service.ts"

const names = { windows: "windows-test-x86_64", linux: "linux-test-x86_64" } as const

async function launchBoth(rig: Rig) {
  const facts = { description: "", architecture: "x86_64" as const, rootDeviceName: "/dev/sda1", createdMs: 0 }
  const image = (name: string) => ({ ...facts, id: imageIdOf(name), name, sizeBytes: 2 ** 30 })
  await registerPublicImages(rig.cloud, [{ ...image(names.windows), platform: "windows" }, image(names.linux)])
  await rig.ec2("CreateKeyPair", { KeyName: "k" })
  const launch = async (name: string) => {
    const run = { ImageId: imageIdOf(name), InstanceType: "t3.large" as const, MinCount: 1, MaxCount: 1, KeyName: "k" }
    return (await rig.ec2("RunInstances", run)).Instances?.[0] ?? assert.fail("no instance")
  }
  return { windows: await launch(names.windows), linux: await launch(names.linux) }
}

test("an instance says its image's platform", async (t) => {
  const rig = await openRig(t)
  const { windows, linux } = await launchBoth(rig)
  assert.deepEqual(
    [windows, linux].map((each) => [each.Platform, each.PlatformDetails, each.UsageOperation]),
    [
      ["windows", "Windows", "RunInstances:0002"],
      [undefined, "Linux/UNIX", "RunInstances"],
    ],
  )
  const { Reservations } = await rig.ec2("DescribeInstances", {
    Filters: [{ Name: "platform", Values: ["windows"] }],
  })
  assert.deepEqual(
    Reservations?.map((each) => each.Instances?.[0]?.InstanceId),
    [windows.InstanceId],
  )
  const { Images } = await rig.ec2("DescribeImages", { Filters: [{ Name: "platform", Values: ["windows"] }] })
  assert.deepEqual(
    Images?.map((each) => [each.Name, each.Platform, each.PlatformDetails]),
    [[names.windows, "windows", "Windows"]],
  )
})

test("a password is the last one that a Windows guest wrote, and never one of a Linux guest", async (t) => {
  const rig = await openRig(t)
  const { windows, linux } = await launchBoth(rig)
  let serial = ""
  const hosts = { ...rig.cloud.hosts, consoleOutput: async () => Buffer.from(serial) }
  const ec2 = createEc2({ ...rig.cloud, hosts })
  const caller = { account: "123456789012", arn: "arn:aws:iam::123456789012:root", userId: "123456789012" }
  const info = { requestId: "test", operation: "GetPasswordData", region: "us-east-1", caller }
  const password = async (InstanceId: string | undefined) => {
    const answer = await ec2.dispatch("GetPasswordData", { InstanceId }, info)
    return "PasswordData" in answer ? answer.PasswordData : undefined
  }
  assert.equal(await password(windows.InstanceId), "")
  serial = "<Password>\r\nb2xk\r\n</Password> noise <Password>\r\nbmV3\r\nZXI=\r\n</Password> more <Password>broken"
  assert.equal(await password(windows.InstanceId), "bmV3ZXI=")
  assert.equal(await password(linux.InstanceId), "")
  serial = `<Password>${"A".repeat(60_000)}</Password><Password>not base64!</Password>`
  assert.equal(await password(windows.InstanceId), "")
})
