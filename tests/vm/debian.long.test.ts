/** The image debian-12, as `up` builds it in the background (or has it from the cache), judged by its own cloud-init in two guests. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import {
  DescribeImagesCommand,
  GetConsoleOutputCommand,
  type Instance,
  RebootInstancesCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { debianImage } from "#images/catalog.ts"
import { root } from "../style/tree.ts"
import { asAdmin, banner, type Cloud, type Ended, fractus, startCloud, until } from "./cloud.ts"

const userData = `#cloud-config
write_files:
  - path: /etc/told
    content: "by user-data\\n"
runcmd:
  - [sh, -c, "id -un >/root/ran"]
`
const rootGiB = 6
const buildMs = 1_800_000
const bootMs = 900_000

test("debian-12 is pending while it is built, becomes its instance by cloud-init, and keeps it", async (t) => {
  const cloud = await startCloud(t, 5345, tmpdir(), ["--images", "all"])
  await untilBuilt(cloud, (line) => t.diagnostic(line))
  const launched = performance.now()
  const since = () => `${Math.round((performance.now() - launched) / 1000)} s`
  const [id = "", twin = ""] = await launch(cloud, 2)
  const instance = await addressed(cloud, id)
  const address = instance.PublicIpAddress ?? ""
  await until("an SSH banner", bootMs, () => banner(address))
  t.diagnostic(`launch to SSH banner: ${since()}`)
  await until("a login", bootMs, () => asAdmin(cloud, address, "true").catch(() => undefined))
  t.diagnostic(`launch to login: ${since()}`)

  // --wait has it write dots.
  await asAdmin(cloud, address, "cloud-init status --wait", bootMs)
  const status = await asAdmin(cloud, address, "cloud-init status --long")
  t.diagnostic(`launch to the end of cloud-init: ${since()}`)
  assert.match(status, /^status: done\n[\s\S]*^DataSourceEc2Local$/m)
  const result = JSON.parse(await asAdmin(cloud, address, "cat /run/cloud-init/result.json"))
  assert.deepEqual(result, { v1: { datasource: "DataSourceEc2Local", errors: [] } })
  const source = await asAdmin(cloud, address, "sudo cloud-init query ds")
  const { "meta-data": metadata } = JSON.parse(source) as { "meta-data": Record<string, unknown> }
  assert.equal(metadata["instance-id"], id)
  assert.equal(metadata["ami-id"], debianImage.id)
  const told = JSON.parse(await asAdmin(cloud, address, "cloud-init query v1")) as Record<string, unknown>
  assert.deepEqual(
    ["cloud_name", "platform", "instance_id", "region", "availability_zone", "distro"].map((name) => told[name]),
    ["aws", "ec2", id, "us-east-1", instance.Placement?.AvailabilityZone, "debian"],
  )
  assert.equal(
    await asAdmin(cloud, address, "ec2metadata --instance-id --local-ipv4 --public-ipv4 --ami-id --instance-type"),
    [id, instance.PrivateIpAddress, address, debianImage.id, "t3.small"].join("\n"),
  )
  assert.equal(await asAdmin(cloud, address, "hostname"), instance.PrivateDnsName?.split(".")[0])
  assert.equal(await asAdmin(cloud, address, "cat /etc/told; sudo cat /root/ran"), "by user-data\nroot")
  const keys = await asAdmin(cloud, address, "cat .ssh/authorized_keys; sudo id -un")
  assert.match(keys, /^ssh-\S+ \S+ test\nroot$/)
  const grownKiB = Number(await asAdmin(cloud, address, "df --output=size / | tail -n 1"))
  assert.ok(grownKiB > (rootGiB - 0.6) * 1024 ** 2, `the root is not grown: ${grownKiB} KiB`)
  assert.equal(await asAdmin(cloud, address, "systemctl is-active qemu-guest-agent"), "active")
  assert.equal(await asAdmin(cloud, address, "systemctl --failed --quiet --plain"), "")
  await t.test("its twin shares neither host keys nor machine-id with it", async () => {
    const other = (await addressed(cloud, twin)).PublicIpAddress ?? ""
    await until("a login at the twin", bootMs, () => asAdmin(cloud, other, "true").catch(() => undefined))
    const own =
      "cat /etc/machine-id; sudo cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2; sudo cat /var/lib/systemd/random-seed | md5sum"
    const [mine, its] = [await asAdmin(cloud, address, own), await asAdmin(cloud, other, own)].map((text) =>
      text.split("\n"),
    )
    assert.match(mine?.[0] ?? "", /^[0-9a-f]{32}$/)
    assert.equal(mine?.length, 4, "a machine-id, two host keys, a seed")
    assert.deepEqual(
      mine?.filter((line) => its?.includes(line)),
      [],
    )
    await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [twin] }))
  })
  await fingerprintShown(cloud, id, await asAdmin(cloud, address, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))

  await t.test("its own tools choose the kernel that firmware starts, and user-data does not run again", async () => {
    await asAdmin(cloud, address, "sudo update-grub && sudo rm /root/ran && sync", 120_000)
    const before = await asAdmin(cloud, address, "cat /proc/sys/kernel/random/boot_id")
    await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [id] }))
    await until("another boot", bootMs, async () => {
      const now = await asAdmin(cloud, address, "cat /proc/sys/kernel/random/boot_id").catch(() => before)
      return now === before ? undefined : now
    })
    assert.match(await asAdmin(cloud, address, "cloud-init status --wait", bootMs), /status: done/)
    assert.match(await asAdmin(cloud, address, "cat /proc/cmdline"), /BOOT_IMAGE=\/boot\/vmlinuz-\S+ .*console=ttyS0/)
    assert.equal(await asAdmin(cloud, address, "sudo ls /root"), "")
  })

  await t.test("it stops when it is asked to, and its image goes only after it", async () => {
    const asked = performance.now()
    await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled(120)
    t.diagnostic(`stopped within ${Math.round((performance.now() - asked) / 1000)} s`)
    const refused = await fractus(["image", "remove", "debian-12", "--home", cloud.home])
    assert.equal(refused.status, 1)
    assert.match(refused.output, new RegExp(`in use by ${id}`))
    assert.equal(await stateOf(cloud), "available")
    await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled()
    const removed = await fractus(["image", "remove", "debian-12", "--home", cloud.home])
    assert.equal(removed.status, 0, removed.output)
    assert.equal(await stateOf(cloud), undefined)
    // It does not come back by itself.
    await cloud.up()
    const { output } = await fractus(["image", "list", "--home", cloud.home])
    assert.match(output, new RegExp(`${debianImage.id} .* not built`))
  })
})

/** While it is built: pending, under its final id, nothing can be launched of it, and who asks for it once more is served by the same build. */
async function untilBuilt(cloud: Cloud, tell: (line: string) => void): Promise<void> {
  const started = performance.now()
  const seen = await until("pending or available", 60_000, () => stateOf(cloud))
  if (seen === "pending") {
    const refused = await launch(cloud, 1).catch((error: unknown) => error)
    const listed = await fractus(["image", "list", "--json", "--home", cloud.home])
    // Unless it was finished meanwhile.
    if (Array.isArray(refused)) await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: refused }))
    else {
      assert.equal(refused instanceof Error ? refused.name : refused, "InvalidAMIID.Unavailable")
      assert.match(listed.output, /"percent": \d+|"available"[\s\S]*"available"/)
    }
  } else tell("it was over before it could be seen as pending: the image was in the cache")
  const { status, output } = await build(cloud.home)
  assert.equal(status, 0, output)
  assert.match(output, new RegExp(debianImage.id))
  assert.equal(await stateOf(cloud), "available")
  tell(`built after ${Math.round((performance.now() - started) / 1000)} s`)
}

function build(home: string): Promise<Ended> {
  return new Promise((resolve) => {
    const words = ["image", "build", "debian-12", "--home", home]
    execFile(join(root, "fractus"), words, { timeout: buildMs }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : -1, output: `${stdout}${stderr}` }),
    )
  })
}

async function stateOf({ client }: Cloud): Promise<string | undefined> {
  const filters = [{ Name: "name", Values: ["debian-12-*"] }]
  const { Images: images = [] } = await client.send(new DescribeImagesCommand({ Filters: filters }))
  assert.ok(images.every(({ ImageId }) => ImageId === debianImage.id))
  return images[0]?.State
}

async function launch({ client }: Cloud, count: number): Promise<readonly string[]> {
  const disk = { DeviceName: debianImage.rootDeviceName, Ebs: { VolumeSize: rootGiB } }
  const wish = {
    ImageId: debianImage.id,
    InstanceType: "t3.small",
    KeyName: "test",
    MinCount: count,
    MaxCount: count,
  } as const
  const content = { UserData: Buffer.from(userData).toString("base64"), BlockDeviceMappings: [disk] }
  const { Instances: launched = [] } = await client.send(new RunInstancesCommand({ ...wish, ...content }))
  return launched.map(({ InstanceId }) => InstanceId ?? "")
}

const addressed = (cloud: Cloud, id: string): Promise<Instance> =>
  until("an address", 60_000, async () =>
    (await cloud.instances()).find(
      ({ InstanceId, PublicIpAddress }) => InstanceId === id && PublicIpAddress !== undefined,
    ),
  )

/** GetConsoleOutput has the host key that a client can compare, as on EC2. */
async function fingerprintShown({ client }: Cloud, id: string, printed: string): Promise<void> {
  const fingerprint = /SHA256:\S{43}/.exec(printed)?.[0] ?? "none"
  const { Output: output = "" } = await client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
  const text = Buffer.from(output, "base64").toString()
  assert.match(text, /BEGIN SSH HOST KEY FINGERPRINTS/)
  assert.ok(text.includes(fingerprint), `${fingerprint} is not on the console`)
}
