/** An image made of a debian-12 instance: its guests are clones, and what its owner had it start starts on them, and never on the template. */
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import {
  CreateImageCommand,
  DescribeImagesCommand,
  type Instance,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { debianImage } from "#images/catalog.ts"
import { asAdmin, banner, type Cloud, fractus, startCloud, until } from "./cloud.ts"

const buildMs = 1_800_000
const bootMs = 900_000
/** Tells where it was started. */
const service = `[Unit]
Description=What the owner of the image put there
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo $(cat /sys/class/dmi/id/board_asset_tag) $(hostname) >>/root/started'
[Install]
WantedBy=multi-user.target
`

test("guests of an image that was made of a debian-12 instance are clones", async (t) => {
  const cloud = await startCloud(t, 5640, tmpdir(), ["--images", "all", "--warm", "on"])
  await until("the image", buildMs, async () => {
    const { status } = await fractus(["image", "build", "debian-12", "--home", cloud.home])
    return status === 0 ? true : undefined
  })
  const source = await launch(cloud, debianImage.id, "source")
  const leave = [
    `echo '${Buffer.from(service).toString("base64")}' | base64 -d | sudo tee /etc/systemd/system/mine.service >/dev/null`,
    "sudo systemctl --quiet enable mine.service",
    "echo 'ssh-ed25519 AAAA other' >>.ssh/authorized_keys",
    "printf '#!/bin/sh\\necho rc $(cat /sys/class/dmi/id/board_asset_tag) >>/root/started\\n' | sudo tee /etc/rc.local >/dev/null",
    "sudo chmod 755 /etc/rc.local",
  ]
  await asAdmin(cloud, source.address, `${leave.join(" && ")} && sync`)
  const before = await facts(cloud, source.address)
  const ImageId = await image(cloud, source.id)
  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [source.id] }))
  await cloud.settled(300)
  const kept = templates(cloud).length

  const booted = await launch(cloud, ImageId, "booted")
  await until("a template", bootMs, async () => (templates(cloud).length > kept ? true : undefined))
  const clones = [await launch(cloud, ImageId, "one"), await launch(cloud, ImageId, "two")]
  const all = [before, await facts(cloud, booted.address)]
  for (const [at, { id, address, ms }] of clones.entries()) {
    t.diagnostic(`launch to SSH banner ${ms.banner} ms (booted ${booted.ms.banner}), to cloud-init's end ${ms.done} ms`)
    assert.match((await fractus(["why", id, "--home", cloud.home])).output, /clones template/)
    assert.equal(await asAdmin(cloud, address, "sudo cat /root/runs"), ["source", ["one", "two"][at]].join("\n"))
    assert.match(await asAdmin(cloud, address, "cat .ssh/authorized_keys"), /^ssh-ed25519 AAAA other$/m)
    const name = (await find(cloud, id)).PrivateDnsName?.split(".")[0] ?? ""
    const started = await until("what its owner starts", 120_000, async () => {
      const lines = await asAdmin(cloud, address, "sudo cat /root/started 2>/dev/null || true")
      return lines.includes(`${id} ${name}`) && lines.includes(`rc ${id}`) ? lines.split("\n") : undefined
    })
    assert.deepEqual(
      started.filter((line) => !line.includes(source.id)).toSorted(),
      [`${id} ${name}`, `rc ${id}`].toSorted(),
      "once, by nobody else",
    )
    assert.equal(
      await asAdmin(cloud, address, "systemctl --failed --quiet --plain; systemctl is-active user@1000"),
      "active",
    )
    all.push(await facts(cloud, address))
  }
  const lines = all.map((text) => text.split("\n"))
  for (const [at] of (lines[0] ?? []).entries())
    assert.equal(new Set(lines.map((each) => each[at])).size, lines.length, `line ${at}`)
})

interface Launched {
  readonly id: string
  readonly address: string
  readonly ms: { readonly banner: number; readonly done: number }
}

/** Resolves when its cloud-init is through. */
async function launch(cloud: Cloud, ImageId: string, words: string): Promise<Launched> {
  const startMs = performance.now()
  const since = () => Math.round(performance.now() - startMs)
  const UserData = Buffer.from(`#!/bin/sh\necho ${words} >>/root/runs\n`).toString("base64")
  const wish = { ImageId, InstanceType: "t3.small", KeyName: "test", MinCount: 1, MaxCount: 1, UserData } as const
  const { Instances: [made] = [] } = await cloud.client.send(new RunInstancesCommand(wish))
  const id = made?.InstanceId ?? assert.fail("nothing was launched")
  const address = await until(`${id} to have an address`, 60_000, async () => (await find(cloud, id)).PublicIpAddress)
  await until(`${id} to greet`, bootMs, () => banner(address, 20_000))
  const bannerMs = since()
  await until("a login", bootMs, () => asAdmin(cloud, address, "echo in").catch(() => undefined))
  await asAdmin(cloud, address, "cloud-init status --wait", bootMs)
  return { id, address, ms: { banner: bannerMs, done: since() } }
}

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

/** What belongs to one machine, a line each. The machine-id is the image's, as on EC2. */
const facts = (cloud: Cloud, address: string): Promise<string> =>
  asAdmin(
    cloud,
    address,
    "hostname; cloud-init query instance_id; cat /proc/sys/kernel/random/boot_id; sudo cat /sys/class/dmi/id/product_uuid" +
      "; sudo cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2",
  )

const templates = ({ home }: Cloud): readonly string[] => {
  const folder = join(home, "host", "templates")
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : []
}

async function image(cloud: Cloud, InstanceId: string): Promise<string> {
  const { ImageId = "" } = await cloud.client.send(new CreateImageCommand({ InstanceId, Name: "mine" }))
  await until("the image", bootMs, async () => {
    const { Images: [found] = [] } = await cloud.client.send(new DescribeImagesCommand({ ImageIds: [ImageId] }))
    return found?.State === "available" ? true : undefined
  })
  return ImageId
}
