/** debian-12 as a clone of a warm template: quick to log in to, and all that a Debian that booted is, judged by its own cloud-init. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { tmpdir } from "node:os"
import {
  type Instance,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2"
import { debianImage } from "#images/catalog.ts"
import { asAdmin, banner, type Cloud, fractus, startCloud, until } from "./cloud.ts"

const buildMs = 1_800_000
const bootMs = 900_000
const userData = "#!/bin/sh\necho ran >>/root/runs\nsync\n"

test("debian-12 is cloned from a template, and each clone is a machine of its own", async (t) => {
  const cloud = await startCloud(t, 5581, tmpdir(), ["--images", "all", "--warm", "on"])
  const home = ["--home", cloud.home]
  await until("the image", buildMs, async () => {
    const { status } = await fractus(["image", "build", "debian-12", ...home])
    return status === 0 ? true : undefined
  })
  const warmed = await until("a template", bootMs, async () => {
    const { status } = await fractus(["image", "warm", "debian-12", "--instance-type", "t3.small", ...home])
    return status === 0 ? true : undefined
  })
  assert.ok(warmed)
  const clones = [await launch(cloud), await launch(cloud)]
  for (const { id, ms } of clones) {
    assert.match(await why(cloud, id), /clones template/)
    t.diagnostic(`launch to SSH banner ${ms.banner} ms, to the first command done ${ms.login} ms`)
  }
  const facts = await Promise.all(clones.map((each) => become(cloud, each)))
  const [mine, its] = facts.map((text) => text.split("\n"))
  assert.equal(mine?.length, 6, facts[0] ?? "")
  assert.deepEqual(
    mine?.filter((line) => its?.includes(line)),
    [],
    "a machine-id, two host keys, a boot id, a seed, a product uuid",
  )

  const { id, address } = clones[0] ?? assert.fail()
  await t.test("a reboot changes nothing but the boot", async () => {
    await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [id] }))
    await booted(cloud, address, mine?.[3] ?? "")
    assert.deepEqual(await kept(cloud, address), keptOf(mine))
  })
  await t.test("neither does a stop and a start, after which it boots from its own disk", async () => {
    await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled(300)
    await cloud.client.send(new StartInstancesCommand({ InstanceIds: [id] }))
    const again = await until("another address", 60_000, async () => (await find(cloud, id)).PublicIpAddress)
    await booted(cloud, again, mine?.[3] ?? "")
    assert.deepEqual(await kept(cloud, again), keptOf(mine))
    assert.match(await why(cloud, id), /boots: its disk has been written to/)
  })
})

interface Launched {
  readonly id: string
  readonly address: string
  readonly ms: { readonly banner: number; readonly login: number }
}

async function launch(cloud: Cloud): Promise<Launched> {
  const startMs = performance.now()
  const since = () => Math.round(performance.now() - startMs)
  const wish = { ImageId: debianImage.id, InstanceType: "t3.small", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  const { Instances: [made] = [] } = await cloud.client.send(
    new RunInstancesCommand({ ...wish, UserData: Buffer.from(userData).toString("base64") }),
  )
  const id = made?.InstanceId ?? ""
  const address = await until(`${id} to have an address`, 60_000, async () => (await find(cloud, id)).PublicIpAddress)
  await until(`${id} to greet`, bootMs, () => banner(address, 20_000))
  const bannerMs = since()
  await asAdmin(cloud, address, "true", 120_000)
  return { id, address, ms: { banner: bannerMs, login: since() } }
}

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

const why = async (cloud: Cloud, id: string): Promise<string> =>
  (await fractus(["why", id, "--home", cloud.home])).output

/** What belongs to one machine, a line each, once cloud-init is through. */
async function become(cloud: Cloud, { id, address }: Launched): Promise<string> {
  const key = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2"
  // The key that a client saw first stays.
  const first = await asAdmin(cloud, address, key)
  await asAdmin(cloud, address, "cloud-init status --wait", bootMs)
  assert.equal(await asAdmin(cloud, address, key), first)
  const result = JSON.parse(await asAdmin(cloud, address, "cat /run/cloud-init/result.json"))
  assert.deepEqual(result, { v1: { datasource: "DataSourceEc2Local", errors: [] } })
  const name = (await find(cloud, id)).PrivateDnsName?.split(".")[0] ?? ""
  const said =
    "hostname; cat /etc/hostname; cloud-init query instance_id; sudo cat /root/runs; systemctl --failed --quiet --plain"
  assert.equal(await asAdmin(cloud, address, said), [name, name, id, "ran"].join("\n"))
  await until("the template's settings to go", 120_000, async () => {
    const left = await asAdmin(cloud, address, "ls /run/systemd/generator/ssh.service.d 2>/dev/null || true")
    return left === "" ? true : undefined
  })
  const size = "sudo blockdev --getsize64 /dev/vda; sudo blockdev --getsize64 /dev/vda1"
  const [disk = 0, root = 0] = (await asAdmin(cloud, address, size)).split("\n").map(Number)
  assert.ok(disk - root <= 2 ** 21, `${root} of ${disk} bytes are the root's`)
  const networks = "sudo networkctl --no-pager status | cat; resolvectl --no-pager dns"
  assert.match(await asAdmin(cloud, address, networks), /State: routable[\s\S]*Link 2 .*: \d+\./)
  const own =
    "cat /etc/machine-id; sudo cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2; cat /proc/sys/kernel/random/boot_id" +
    "; sudo cat /var/lib/systemd/random-seed | md5sum; sudo cat /sys/class/dmi/id/product_uuid"
  const journal = await asAdmin(
    cloud,
    address,
    "sudo journalctl --no-pager -o json -n 1 --output-fields=_MACHINE_ID,_BOOT_ID",
  )
  const text = await asAdmin(cloud, address, own)
  const [machine, , , boot] = text.split("\n")
  assert.deepEqual(
    [JSON.parse(journal)["_MACHINE_ID"], JSON.parse(journal)["_BOOT_ID"]],
    [machine, boot?.replaceAll("-", "")],
  )
  return text
}

const keptOf = (facts: readonly string[] = []) => [...facts.slice(0, 3), facts[5], "ran"]
const kept = async (cloud: Cloud, address: string) =>
  (
    await asAdmin(
      cloud,
      address,
      "cat /etc/machine-id; sudo cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2; sudo cat /sys/class/dmi/id/product_uuid; sudo cat /root/runs",
    )
  ).split("\n")

async function booted(cloud: Cloud, address: string, before: string): Promise<void> {
  await until("another boot", bootMs, async () => {
    const now = await asAdmin(cloud, address, "cat /proc/sys/kernel/random/boot_id").catch(() => before)
    return now === before ? undefined : now
  })
  assert.match(await asAdmin(cloud, address, "cloud-init status --wait", bootMs), /status: done/)
}
