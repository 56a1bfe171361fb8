/** Images made of a real guest: what it wrote is in them, whatever becomes of it, of its host and of who asks. */
import assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import {
  CreateImageCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  type Image,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, killEach, startCloud, until } from "./cloud.ts"

async function launch(cloud: Cloud, ImageId: string): Promise<string> {
  const one = { ImageId, InstanceType: "t3.nano", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  const { Instances: [instance] = [] } = await cloud.client.send(new RunInstancesCommand(one))
  return instance?.InstanceId ?? assert.fail("nothing was launched")
}

async function greets(cloud: Cloud, id: string): Promise<string> {
  const found = async () => (await cloud.instances()).find((each) => each.InstanceId === id)?.PublicIpAddress
  const address = await until(`${id} to have an address`, 90_000, found)
  await until(`${id} to greet`, 120_000, () => banner(address))
  return address
}

/** Makes an image and waits for its end, as the waiters of Packer and Terraform do. */
async function image(cloud: Cloud, InstanceId: string, Name: string, NoReboot: boolean): Promise<Image> {
  const { ImageId = "" } = await cloud.client.send(new CreateImageCommand({ InstanceId, Name, NoReboot }))
  return ended(cloud, ImageId)
}

const ended = (cloud: Cloud, id: string): Promise<Image> =>
  until(`${id} to be made`, 150_000, async () => {
    const { Images: [found] = [] } = await cloud.client.send(new DescribeImagesCommand({ ImageIds: [id] }))
    return found?.State === "pending" ? undefined : found
  })

const boots = "cat /proc/sys/kernel/random/boot_id"

test(
  "an image holds what its instance wrote, and launches when that is gone; a kill -9 leaves none half made",
  { timeout: 500_000 },
  async (t: TestContext) => {
    const cloud = await startCloud(t, 7100)
    const id = await launch(cloud, cloud.imageId)
    const address = await greets(cloud, id)
    await inGuest(cloud, address, "echo one | sudo tee /root/one; sync")
    const first = await inGuest(cloud, address, boots)
    const still = await image(cloud, id, "still", true)
    assert.equal(still.State, "available")
    assert.equal(await inGuest(cloud, address, boots), first, "it went on")

    await inGuest(cloud, address, "echo two | sudo tee /root/two")
    const rested = await image(cloud, id, "rested", false)
    assert.equal(rested.State, "available")
    await greets(cloud, id)
    assert.notEqual(await inGuest(cloud, address, boots), first, "it was started again")

    await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled()
    assert.deepEqual(
      readdirSync(join(cloud.home, "volumes")).filter((name) => name.startsWith("vol-")),
      [],
    )
    const clone = await launch(cloud, rested.ImageId ?? "")
    const [root] = await Promise.all([
      greets(cloud, clone),
      filesOf(cloud, still).then((found) => assert.equal(found, "one")),
    ])
    assert.equal(await inGuest(cloud, root, "sudo ls /root"), "one\ntwo")
    const asked = { InstanceId: clone, Name: "killed" }
    const { ImageId: killed = "" } = await cloud.client.send(new CreateImageCommand(asked))
    const processes = await cloud.processes()
    killEach(["fractus-host", "fractus-api"].flatMap((name) => processes.get(name) ?? []))
    await cloud.up()
    assert.equal((await ended(cloud, killed)).State, "available")
    await greets(cloud, clone)
    const images = [still, rested, { ImageId: killed }]
    const kept = (await snapshots(cloud)).map(({ SnapshotId }) => `${SnapshotId}.qcow2`)
    assert.deepEqual(files(cloud), kept.toSorted(), "one for each image, and nothing half made")
    for (const { ImageId } of images)
      await cloud.client.send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }))
    await cloud.settled()
    assert.deepEqual(files(cloud), [])
    assert.equal(await inGuest(cloud, root, "sudo ls /root"), "one\ntwo", "who was launched of it goes on")
  },
)

/** What the host keeps of snapshots, records apart. */
const files = ({ home }: Cloud) =>
  readdirSync(join(home, "snapshots"))
    .filter((name) => !name.endsWith(".json"))
    .toSorted()

const snapshots = async ({ client }: Cloud) =>
  (await client.send(new DescribeSnapshotsCommand({ OwnerIds: ["self"] }))).Snapshots ?? []

/** Launches one of the image and looks into it. */
async function filesOf(cloud: Cloud, { ImageId = "" }: Image): Promise<string> {
  const id = await launch(cloud, ImageId)
  const found = await inGuest(cloud, await greets(cloud, id), "sudo ls /root")
  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  return found
}
