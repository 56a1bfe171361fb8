/** Images that an account made of an instance: their guests are clones too, each a machine of its own with what its image holds. */
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import {
  CreateImageCommand,
  DeregisterImageCommand,
  DescribeFastLaunchImagesCommand,
  DescribeImagesCommand,
  EnableFastLaunchCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, inGuest, startCloud, until } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

interface Launched {
  readonly id: string
  readonly address: string
}

async function launch(cloud: Cloud, ImageId: string, words: string): Promise<Launched> {
  const UserData = Buffer.from(`#!/bin/sh\necho ${words} >>/root/runs\nsync\n`).toString("base64")
  const one = { ImageId, InstanceType: "t3.nano", KeyName: "test", MinCount: 1, MaxCount: 1, UserData } as const
  const { Instances: [made] = [] } = await cloud.client.send(new RunInstancesCommand(one))
  const id = made?.InstanceId ?? assert.fail("nothing was launched")
  const find = async () => (await cloud.instances()).find((each) => each.InstanceId === id)?.PublicIpAddress
  const address = await until(`${id} to have an address`, 90_000, find)
  await until(`${id} to greet`, 120_000, () => banner(address))
  await until("user-data", 120_000, async () => {
    const runs = await inGuest(cloud, address, "sudo cat /root/runs 2>/dev/null || true").catch(() => "")
    return runs.split("\n").at(-1) === words ? true : undefined
  })
  return { id, address }
}

const way = async (cloud: Cloud, id: string): Promise<string> =>
  /command: +((boots|clones).*?) +\d/.exec((await fractus(["why", id, "--home", cloud.home])).output)?.[1] ?? ""

/** What belongs to one machine, a line each. */
const own = [
  "hostname",
  "echo $(cat /etc/machine-id)",
  "cat /proc/sys/kernel/random/boot_id",
  "sudo dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-",
  "sudo cat /sys/class/dmi/id/product_uuid",
  "cat /sys/class/net/eth0/address",
  "sudo cat /var/lib/fractus/instance-id",
].join("; ")

const templates = ({ home }: Cloud): readonly string[] => {
  const folder = join(home, "host", "templates")
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : []
}

async function image(cloud: Cloud, InstanceId: string): Promise<string> {
  const { ImageId = "" } = await cloud.client.send(new CreateImageCommand({ InstanceId, Name: "mine" }))
  await until("the image", 150_000, async () => {
    const { Images: [found] = [] } = await cloud.client.send(new DescribeImagesCommand({ ImageIds: [ImageId] }))
    return found?.State === "available" ? true : undefined
  })
  return ImageId
}

test("guests of an image that was made of an instance are clones", { timeout: 800_000 }, async (t: TestContext) => {
  const cloud = await startCloud(t, 5620, undefined, ["--warm", "on"])
  const source = await launch(cloud, cloud.imageId, "source")
  // A host key of another kind is made when a client asks for it; the key of a person who is no key pair of the launch.
  const leave = [
    "echo mine | sudo tee /root/mine",
    "sudo dropbearkey -t rsa -f /etc/dropbear/dropbear_rsa_host_key",
    "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA other' >>.ssh/authorized_keys",
  ]
  await inGuest(cloud, source.address, `${leave.join(" && ")} && sync`)
  const before = (await inGuest(cloud, source.address, own)).split("\n")
  const keys = await inGuest(cloud, source.address, "cat .ssh/authorized_keys")
  await until("the template of its own image", 180_000, async () => (templates(cloud).length > 0 ? true : undefined))
  const ImageId = await image(cloud, source.id)
  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [source.id] }))
  await cloud.settled()

  const booted = await launch(cloud, ImageId, "booted")
  assert.equal(await way(cloud, booted.id), "boots: there is no warm template of its kind yet")
  await until("a template of it", 240_000, async () => (templates(cloud).length > 1 ? true : undefined))
  const clones = [await launch(cloud, ImageId, "one"), await launch(cloud, ImageId, "two")]
  for (const [at, { id, address }] of clones.entries()) {
    assert.match(await way(cloud, id), /^clones template/)
    const runs = "sudo cat /root/mine /root/runs; cat .ssh/authorized_keys"
    assert.equal(await inGuest(cloud, address, runs), ["mine", "source", ["one", "two"][at], keys].join("\n"))
    assert.equal(await inGuest(cloud, address, "sudo ls /etc/dropbear"), "dropbear_ed25519_host_key")
  }
  const facts = await Promise.all(clones.map(async ({ address }) => (await inGuest(cloud, address, own)).split("\n")))
  const all = [before, (await inGuest(cloud, booted.address, own)).split("\n"), ...facts]
  for (const [at] of before.entries()) assert.equal(new Set(all.map((lines) => lines[at])).size, all.length, `${at}`)
  assert.deepEqual(
    facts.map((lines) => lines.at(-1)),
    clones.map(({ id }) => id),
  )

  await cloud.client.send(new EnableFastLaunchCommand({ ImageId }))
  await until("fast launch", 240_000, async () => {
    const { FastLaunchImages: [shown] = [] } = await cloud.client.send(new DescribeFastLaunchImagesCommand({}))
    return shown?.State === "enabled" ? true : undefined
  })
  await cloud.client.send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }))
  await until("its templates to go", 180_000, async () => (templates(cloud).length === 1 ? true : undefined))
  assert.deepEqual((await cloud.client.send(new DescribeFastLaunchImagesCommand({}))).FastLaunchImages, [])
  assert.equal(await inGuest(cloud, clones[0]?.address ?? "", "sudo cat /root/mine"), "mine")
  assert.deepEqual(await wrongIn(cloud), [])
})
