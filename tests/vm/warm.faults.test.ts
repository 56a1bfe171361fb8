/** The second launch of a kind is a clone of a warm template, and nobody could tell but by the time. */
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import {
  GetConsoleOutputCommand,
  type Instance,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, inGuest, startCloud, until } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

const userData = "#!/bin/sh\necho user-data speaks from $(hostname)\necho run >>/root/runs\nsync\n"

async function launch(cloud: Cloud): Promise<{ readonly id: string; readonly address: string; readonly ms: number }> {
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
  return { id, address, ms: Math.round(performance.now() - startMs) }
}

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

/** The ways that it went, as `fractus why` tells. */
async function ways(cloud: Cloud, id: string): Promise<readonly string[]> {
  // Told once the pass over it has ended.
  await cloud.settled()
  const { output } = await fractus(["why", id, "--home", cloud.home])
  return [...output.matchAll(/command: ((?:boots|clones).*?) [\d.]+ ms/g)].map(([, way = ""]) => way)
}

/** What belongs to one instance, and what it was told by DHCP and metadata. */
const facts = (cloud: Cloud, address: string) =>
  inGuest(
    cloud,
    address,
    `hostname; cat /etc/machine-id; echo; sudo dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-
     sudo cat /root/runs; ip -4 -o addr show eth0 | tr -s ' ' | cut -d' ' -f4; sudo cat /sys/class/dmi/id/product_uuid`,
  )

async function untilTemplate(cloud: Cloud): Promise<void> {
  const folder = join(cloud.home, "host", "templates")
  const made = () => existsSync(folder) && readdirSync(folder).some((name) => /^[0-9a-f]{32}$/.test(name))
  await until("a warm template", 120_000, async () => (made() ? true : undefined))
}

async function untilRan(cloud: Cloud, address: string): Promise<void> {
  const ran = () => inGuest(cloud, address, "sudo cat /root/runs").catch(() => undefined)
  await until("user-data", 120_000, async () => ((await ran()) === "run" ? true : undefined))
}

test(
  "a clone is the instance that it should be, over reboot, stop and start",
  { timeout: 400_000 },
  async (t: TestContext) => {
    const cloud = await startCloud(t, 5500, undefined, ["--warm", "on"])
    const cold = await launch(cloud)
    assert.deepEqual(await ways(cloud, cold.id), ["boots: there is no warm template of its kind yet"])
    await untilRan(cloud, cold.address)
    await untilTemplate(cloud)
    const warm = await launch(cloud)
    t.diagnostic(`RunInstances to ssh banner: booted ${cold.ms} ms, cloned ${warm.ms} ms`)
    assert.match((await ways(cloud, warm.id)).join(), /^clones template [0-9a-f]{32}$/)
    const words = ["image", "warm", cloud.imageId, "--home", cloud.home, "--instance-type"]
    assert.equal((await fractus([...words, "t3.nano", "--json"])).status, 0)
    const refused = await fractus([...words, "t0.none"])
    assert.equal(refused.status, 1)
    assert.match(refused.output, /type is not an instance type/)
    const { PrivateDnsName = "", PrivateIpAddress = "" } = await find(cloud, warm.id)
    await untilRan(cloud, warm.address)
    const before = await facts(cloud, warm.address)
    assert.match(before, new RegExp(`^${PrivateDnsName.replaceAll(".", "\\.")}\\n`))
    assert.match(before, new RegExp(`\\n${PrivateIpAddress.replaceAll(".", "\\.")}/20\\n`))
    assert.notEqual((await facts(cloud, cold.address)).split("\n")[1], before.split("\n")[1])
    // It renews its lease, finds names, and asks the metadata service like any other.
    const asked = `sudo kill -USR1 $(cat /run/udhcpc.pid) && nslookup -type=a ${PrivateDnsName} >/dev/null && . /usr/lib/fractus/metadata &&
    run=/tmp && fetch_token 5 && get meta-data/instance-id /tmp/id && cat /tmp/id`
    assert.equal(await inGuest(cloud, warm.address, asked), warm.id)
    assert.equal(await facts(cloud, warm.address), before, "DHCP's answer changes nothing")
    const told = async () => {
      const { Output = "" } = await cloud.client.send(
        new GetConsoleOutputCommand({ InstanceId: warm.id, Latest: true }),
      )
      return Buffer.from(Output, "base64").toString()
    }
    assert.match(await told(), /user-data speaks from/)
    assert.match(await told(), /BEGIN SSH HOST KEY FINGERPRINTS/)

    await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [warm.id] }))
    await until("a second boot", 120_000, async () => (/userspace up/.test(await told()) ? true : undefined))
    await until("a login after the reboot", 120_000, () => facts(cloud, warm.address).catch(() => undefined))
    assert.equal(
      await facts(cloud, warm.address),
      before,
      "a reboot changes nothing, and runs user-data no second time",
    )

    await cloud.client.send(new StopInstancesCommand({ InstanceIds: [warm.id] }))
    await until("stopped", 90_000, async () =>
      (await find(cloud, warm.id)).State?.Name === "stopped" ? true : undefined,
    )
    await cloud.client.send(new StartInstancesCommand({ InstanceIds: [warm.id] }))
    await cloud.settled()
    const address = (await find(cloud, warm.id)).PublicIpAddress ?? ""
    await until("a login after the start", 120_000, () => facts(cloud, address).catch(() => undefined))
    assert.equal(await facts(cloud, address), before, "a stop and a start change nothing")
    assert.equal((await ways(cloud, warm.id)).at(-1), "boots: its disk has been written to")
    assert.deepEqual(await wrongIn(cloud), [])
  },
)
