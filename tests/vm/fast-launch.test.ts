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
import { banner, fractus, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

test(
  "fast launch is enabled though the host dies while it makes the template, and then a launch is a clone",
  { timeout: 500_000 },
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
    const begun = () => templates().some((name) => name.startsWith(".making-"))
    await until("a template in the making", 240_000, async () => (begun() ? true : undefined))
    const host = (await cloud.processes()).get("fractus-host") ?? assert.fail("no host")
    process.kill(host, "SIGKILL")
    await until("the host's end", 20_000, async () => (existsSync(`/proc/${host}/exe`) ? undefined : true))
    await cloud.up()
    await until("fast launch", 180_000, async () => ((await state()) === "enabled" ? true : undefined))
    assert.match(templates().join(), /^[0-9a-f]{32}$/)

    const { Instances: [instance] = [] } = await client.send(
      new RunInstancesCommand({ ImageId, InstanceType: "t3.micro", KeyName: "test", MinCount: 1, MaxCount: 1 }),
    )
    const id = instance?.InstanceId ?? ""
    const address = await until("an address", 240_000, async () => (await cloud.instances())[0]?.PublicIpAddress)
    await until("a greeting", 120_000, () => banner(address))
    await cloud.settled()
    assert.match((await fractus(["why", id, "--home", cloud.home])).output, /command: clones template/)
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    await client.send(new DisableFastLaunchCommand({ ImageId }))
    await cloud.settled()
    assert.equal(await state(), undefined)
    assert.deepEqual(templates(), [])
    assert.deepEqual(await wrongIn(cloud), [])
    await cloud.down()
    assert.deepEqual(leftOf(cloud), [])
  },
)
