/** A launch that is given a clone of the pool: nobody could tell but by the time, and after a reboot neither. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import {
  GetConsoleOutputCommand,
  type Instance,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, inGuest, startCloud, until } from "./cloud.ts"
import { leftOf } from "./orphans.ts"

const userData = "#!/bin/sh\necho run >>/root/runs\nsync\n"

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

async function launch(cloud: Cloud) {
  const startMs = performance.now()
  const { Instances: [instance] = [] } = await cloud.client.send(
    new RunInstancesCommand({
      ImageId: cloud.imageId,
      InstanceType: "t3.nano",
      KeyName: "test",
      MinCount: 1,
      MaxCount: 1,
      UserData: Buffer.from(userData).toString("base64"),
    }),
  )
  const id = instance?.InstanceId ?? ""
  const address = await until(`${id} to have an address`, 90_000, async () => (await find(cloud, id)).PublicIpAddress)
  await until(`${id} to greet`, 120_000, () => banner(address))
  const ms = Math.round(performance.now() - startMs)
  await cloud.settled()
  const { output: why } = await fractus(["why", id, "--home", cloud.home])
  return { id, address, ms, why }
}

interface PoolStatus {
  readonly wanted: number
  readonly waiting: number
  readonly pssBytes: number
}
async function status(cloud: Cloud): Promise<PoolStatus | null> {
  const { output } = await fractus(["status", "--json", "--home", cloud.home])
  return (JSON.parse(output) as { memory: { pool: PoolStatus | null } }).memory.pool
}
const untilWaiting = (cloud: Cloud, count: number) =>
  until(`${count} in the pool`, 180_000, async () => ((await status(cloud))?.waiting === count ? true : undefined))

/** What its hardware says, and what it made of its identity. */
const facts = (cloud: Cloud, address: string) =>
  inGuest(
    cloud,
    address,
    `cat /sys/class/dmi/id/board_asset_tag /sys/block/vda/serial; echo; cat /sys/class/net/eth0/address
     sudo cat /sys/class/dmi/id/product_uuid /sys/class/dmi/id/product_serial; hostname; cat /etc/machine-id; echo
     sudo dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-; sudo cat /root/runs`,
  )

test("a launch takes a clone of the pool, which is refilled", { timeout: 400_000 }, async (t: TestContext) => {
  const cloud = await startCloud(t, 5510, undefined, ["--warm", "on", "--warm-pool", "t3.nano=1"])
  await untilWaiting(cloud, 1)
  assert.match((await fractus(["status", "--home", cloud.home])).output, /clones that wait in the pool: 1 of 1/)
  const one = await launch(cloud)
  t.diagnostic(`RunInstances to ssh banner: ${one.ms} ms`)
  assert.match(one.why, /clones template [0-9a-f]{32}, from the pool/)
  await until("user-data", 60_000, () => inGuest(cloud, one.address, "sudo cat /root/runs").catch(() => undefined))
  const before = await facts(cloud, one.address)
  const { BlockDeviceMappings: [disk] = [], NetworkInterfaces: [card] = [] } = await find(cloud, one.id)
  const [asset, serial, mac, uuid, ...others] = before.split("\n").filter(Boolean)
  assert.deepEqual([asset, serial, mac], [one.id, disk?.Ebs?.VolumeId?.replace("-", ""), card?.MacAddress])
  assert.match(uuid ?? "", /^ec2/)
  assert.equal(others.at(-1), "run")
  await untilWaiting(cloud, 1)

  // Its hardware tells it anew who it is, and it finds that it is the same.
  const told = async () => {
    const { Output = "" } = await cloud.client.send(new GetConsoleOutputCommand({ InstanceId: one.id, Latest: true }))
    return Buffer.from(Output, "base64").toString()
  }
  await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [one.id] }))
  await until("a boot", 120_000, async () => (/userspace up/.test(await told()) ? true : undefined))
  await until("a login after it", 120_000, () => facts(cloud, one.address).catch(() => undefined))
  assert.equal(await facts(cloud, one.address), before, "a reboot changes nothing")

  const record = () => readFileSync(join(cloud.run, "guests", one.id, "machine.json"), "utf8")
  assert.match(record(), /"cgroup":"i-/)
  await cloud.client.send(new StopInstancesCommand({ InstanceIds: [one.id] }))
  const stopped = async () => ((await find(cloud, one.id)).State?.Name === "stopped" ? true : undefined)
  await until("stopped", 90_000, stopped)
  await cloud.client.send(new StartInstancesCommand({ InstanceIds: [one.id] }))
  await cloud.settled()
  const address = (await find(cloud, one.id)).PublicIpAddress ?? ""
  await until("a login after the start", 120_000, () => facts(cloud, address).catch(() => undefined))
  assert.equal(await facts(cloud, address), before, "a stop and a start change nothing")
  assert.doesNotMatch(record(), /"cgroup"/, "it has a group of its own now")

  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [one.id] }))
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [])
})
