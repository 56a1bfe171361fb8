/** What DescribeInstanceStatus says of a real guest is what the guest does: its boot, silence, and answer. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import {
  DescribeInstanceStatusCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  waitUntilInstanceStatusOk,
  waitUntilSystemStatusOk,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"

/** From a start to a login, on a machine that has other work as well. */
const loginMs = 180_000

test("status checks tell what guests do", async (t) => {
  const cloud = await startCloud(t, 5421)
  await silence(t, cloud)
})

async function launch(cloud: Cloud, more: Partial<RunInstancesCommandInput>): Promise<string> {
  const { Instances: made = [] } = await cloud.client.send(
    new RunInstancesCommand({ ImageId: cloud.imageId, KeyName: "test", MinCount: 1, MaxCount: 1, ...more }),
  )
  return made[0]?.InstanceId ?? ""
}

/** The address, once a login works there. */
async function login(cloud: Cloud, id: string): Promise<string> {
  return until(`${id} lets its key in`, loginMs, async () => {
    const { PublicIpAddress: address = "" } =
      (await cloud.instances()).find(({ InstanceId }) => InstanceId === id) ?? assert.fail("it is not described")
    if (address === "" || (await banner(address)) === undefined) return undefined
    const user = await inGuest(cloud, address, "id").catch(() => undefined)
    return user === undefined ? undefined : address
  })
}

/** Looked at twice a second: instance and system status, and since when the instance is impaired. */
async function statusOf(cloud: Cloud, id: string) {
  await delay(500)
  const { InstanceStatuses: [status] = [] } = await cloud.client.send(
    new DescribeInstanceStatusCommand({ InstanceIds: [id] }),
  )
  const since = status?.InstanceStatus?.Details?.[0]?.ImpairedSince
  return { words: `${status?.InstanceStatus?.Status} ${status?.SystemStatus?.Status}`, since }
}

/** The guest shuts its interface for a while, and opens it again. */
async function silence(t: TestContext, cloud: Cloud): Promise<void> {
  const id = await launch(cloud, { InstanceType: "t3.nano" })
  const seen = new Set<string>()
  const startMs = performance.now()
  await until(`${id} is ok`, loginMs, async () => {
    const { words } = await statusOf(cloud, id)
    seen.add(words)
    return words === "ok ok" ? true : undefined
  })
  t.diagnostic(`ok ${(performance.now() - startMs) | 0} ms after the launch`)
  assert.ok(seen.has("initializing ok"), [...seen].join())
  assert.ok(![...seen].some((words) => words.includes("impaired")), [...seen].join())
  const waiter = { client: cloud.client, maxWaitTime: 5, minDelay: 1 }
  await waitUntilInstanceStatusOk(waiter, { InstanceIds: [id] })
  await waitUntilSystemStatusOk(waiter, { InstanceIds: [id] })

  const address = await login(cloud, id)
  const back = "ip link set eth0 up; ip route add $default"
  const shut = `default=$(ip route show default); sleep 1; ip link set eth0 down; sleep 100; ${back}`
  await inGuest(cloud, address, `sudo setsid sh -c '${shut}' >/dev/null 2>&1 </dev/null &`)
  const silentMs = performance.now()
  const impaired = await until("impaired", 110_000, async () => {
    const status = await statusOf(cloud, id)
    return status.words === "ok ok" ? undefined : status
  })
  const afterMs = performance.now() - silentMs
  assert.equal(impaired.words, "impaired ok")
  assert.ok(Math.abs((impaired.since?.getTime() ?? 0) - Date.now()) < 10_000)
  assert.ok(afterMs > 30_000 && afterMs < 90_000, `impaired after ${afterMs} ms`)
  await until("ok again", 130_000, async () => ((await statusOf(cloud, id)).words === "ok ok" ? true : undefined))
  t.diagnostic(`impaired ${afterMs | 0} ms after its silence, ok ${(performance.now() - silentMs) | 0} ms after that`)
  assert.equal((await inGuest(cloud, address, "id -un")).trim(), "ec2-user", "routes and neighbour are there again")
}
