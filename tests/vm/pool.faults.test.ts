/** The host dies while clones wait for it, and while it gives one away. */
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { RunInstancesCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2"
import { type Cloud, fractus, inGuest, startCloud, until } from "./cloud.ts"
import { leftOf } from "./orphans.ts"

async function killHost(cloud: Cloud): Promise<void> {
  const host = (await cloud.processes()).get("fractus-host") ?? assert.fail("no host")
  process.kill(host, "SIGKILL")
  await until("the host's end", 60_000, async () => (existsSync(`/proc/${host}/exe`) ? undefined : true))
  await cloud.up()
}

async function waiting(cloud: Cloud): Promise<number> {
  const { output } = await fractus(["status", "--json", "--home", cloud.home])
  return (JSON.parse(output) as { memory: { pool: { waiting: number } | null } }).memory.pool?.waiting ?? 0
}
const untilWaiting = (cloud: Cloud) =>
  until("a clone in the pool", 240_000, async () => ((await waiting(cloud)) === 1 ? true : undefined))

test("a launch over the host's death is right, and no clone of before is left", { timeout: 600_000 }, async (t) => {
  const words = ["--warm", "on", "--warm-pool", "t3.nano=1"]
  const cloud = await startCloud(t, 5511, undefined, words)
  await untilWaiting(cloud)
  const namespaces = () =>
    readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(`${cloud.prefix}-pool`))
  await killHost(cloud)
  await untilWaiting(cloud)
  assert.equal(namespaces().length > 0, true)
  const ids: string[] = []
  for (const kill of [true, false]) {
    const { Instances: [instance] = [] } = await cloud.client.send(
      new RunInstancesCommand({
        ImageId: cloud.imageId,
        InstanceType: "t3.nano",
        KeyName: "test",
        MinCount: 1,
        MaxCount: 1,
      }),
    )
    ids.push(instance?.InstanceId ?? "")
    if (kill) await killHost(cloud)
    await cloud.settled()
    await untilWaiting(cloud)
  }
  for (const id of ids) {
    const address = (await cloud.instances()).find(({ InstanceId }) => InstanceId === id)?.PublicIpAddress ?? ""
    const asked = () => inGuest(cloud, address, "cat /sys/class/dmi/id/board_asset_tag").catch(() => undefined)
    assert.equal(await until(`${id} to let in`, 180_000, asked), id)
  }
  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await cloud.settled()
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [])
})
