/** A template that EnableFastLaunch asks for, over the death of whoever makes it. */
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import {
  DescribeFastLaunchImagesCommand,
  DisableFastLaunchCommand,
  EnableFastLaunchCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

async function killHost(cloud: Cloud): Promise<void> {
  const host = (await cloud.processes()).get("fractus-host") ?? assert.fail("no host")
  process.kill(host, "SIGKILL")
  await until("the host's end", 60_000, async () => (existsSync(`/proc/${host}/exe`) ? undefined : true))
  await cloud.up()
}

test(
  "fast launch is enabled though the host dies while it makes the template, then a launch is a clone, and disabled though it dies again",
  { timeout: 900_000 },
  async (t) => {
    const cloud = await startCloud(t, 5560, undefined, ["--warm", "on"])
    const { client, imageId: ImageId } = cloud
    const state = async () => {
      const { FastLaunchImages: [shown] = [] } = await client.send(new DescribeFastLaunchImagesCommand({}))
      return shown?.State
    }
    const folder = join(cloud.home, "host", "templates")
    const templates = () => (existsSync(folder) ? readdirSync(folder) : [])
    await client.send(new EnableFastLaunchCommand({ ImageId }))
    // In the making: unless this process was kept waiting for so long that it is made.
    await until("a template in the making", 240_000, async () => (templates().length > 0 ? true : undefined))
    await killHost(cloud)
    await until("fast launch", 300_000, async () => ((await state()) === "enabled" ? true : undefined))
    assert.match(templates().join(), /^[0-9a-f]{32}$/)

    const { Instances: [instance] = [] } = await client.send(
      new RunInstancesCommand({ ImageId, InstanceType: "t3.micro", KeyName: "test", MinCount: 1, MaxCount: 1 }),
    )
    const id = instance?.InstanceId ?? ""
    const address = await until("an address", 240_000, async () => (await cloud.instances())[0]?.PublicIpAddress)
    await until("a greeting", 240_000, () => banner(address))
    await cloud.settled()
    assert.match((await fractus(["why", id, "--home", cloud.home])).output, /command: clones template/)
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled()
    await client.send(new DisableFastLaunchCommand({ ImageId }))
    await killHost(cloud)
    await until("its end", 180_000, async () => ((await state()) === undefined ? true : undefined))
    await cloud.settled()
    assert.deepEqual(templates(), [])
    assert.deepEqual(await wrongIn(cloud), [])
    await cloud.down()
    assert.deepEqual(leftOf(cloud), [])
  },
)
