/**
 * The image debian-12, built as a user builds it and judged by its own cloud-init. Minutes under emulation, so only when asked for:
 * `FRACTUS_TEST_DEBIAN=1 node --test tests/vm/debian.test.ts`.
 */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { test } from "node:test"
import {
  DescribeImagesCommand,
  GetConsoleOutputCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { debianImage } from "#images/catalog.ts"
import { root } from "../style/tree.ts"
import { banner, type Cloud, type Ended, fractus, sshWords, startCloud, until } from "./cloud.ts"

const skip = process.env["FRACTUS_TEST_DEBIAN"] === "1" ? false : "takes minutes: set FRACTUS_TEST_DEBIAN=1 to run it"
const userData = `#cloud-config
write_files:
  - path: /etc/told
    content: "by user-data\\n"
runcmd:
  - [sh, -c, "id -un >/root/ran"]
`
const rootGiB = 6
const buildMs = 1_800_000
const bootMs = 400_000

test(
  "debian-12 is pending while it is built, becomes its instance by cloud-init, and keeps it",
  { skip },
  async (t) => {
    const cloud = await startCloud(t, 5345)
    await buildIt(cloud, (line) => t.diagnostic(line))
    const launched = performance.now()
    const since = () => `${Math.round((performance.now() - launched) / 1000)} s`
    const id = await launch(cloud)
    const instance = await until("an address", 30_000, async () => {
      const [found] = await cloud.instances()
      return found?.PublicIpAddress === undefined ? undefined : found
    })
    const address = instance.PublicIpAddress ?? ""
    await until("an SSH banner", bootMs, () => banner(address))
    t.diagnostic(`launch to SSH banner: ${since()}`)
    await until("a login", bootMs, () => asAdmin(cloud, address, "true").catch(() => undefined))
    t.diagnostic(`launch to login: ${since()}`)

    const status = await asAdmin(cloud, address, "cloud-init status --wait --long", bootMs)
    t.diagnostic(`launch to the end of cloud-init: ${since()}`)
    assert.match(status, /^\.*\n?status: done\n/)
    assert.match(status, /DataSourceEc2Local/)
    const source = await asAdmin(cloud, address, "sudo cloud-init query ds")
    const { "meta-data": metadata } = JSON.parse(source) as { "meta-data": Record<string, unknown> }
    assert.equal(metadata["instance-id"], id)
    assert.equal(metadata["ami-id"], debianImage.id)
    assert.equal(await asAdmin(cloud, address, "ec2metadata --instance-id"), id)
    assert.equal(await asAdmin(cloud, address, "hostname"), instance.PrivateDnsName?.split(".")[0])
    assert.equal(await asAdmin(cloud, address, "cat /etc/told; sudo cat /root/ran"), "by user-data\nroot")
    const keys = await asAdmin(cloud, address, "cat .ssh/authorized_keys; sudo id -un")
    assert.match(keys, /^ssh-\S+ \S+ test\nroot$/)
    const grownKiB = Number(await asAdmin(cloud, address, "df --output=size / | tail -n 1"))
    assert.ok(grownKiB > (rootGiB - 0.6) * 1024 ** 2, `the root is not grown: ${grownKiB} KiB`)
    assert.equal(await asAdmin(cloud, address, "systemctl is-active qemu-guest-agent"), "active")
    assert.equal(await asAdmin(cloud, address, "systemctl --failed --quiet --plain"), "")
    assert.match(await asAdmin(cloud, address, "cat /etc/machine-id"), /^[0-9a-f]{32}$/)
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
    })
  },
)

/** While it is built: pending, under its final id, and nothing can be launched of it. */
async function buildIt(cloud: Cloud, tell: (line: string) => void): Promise<void> {
  assert.equal(await stateOf(cloud), undefined)
  const started = performance.now()
  let ended: Ended | undefined
  const building = build(cloud.home).then((end) => (ended = end))
  const seen = await until("pending", 60_000, async () => (ended ? "ended" : await stateOf(cloud)))
  if (seen === "pending" && ended === undefined) {
    await assert.rejects(launch(cloud), (error) => error instanceof Error && error.name === "InvalidAMIID.Unavailable")
  } else tell("the build was over before it could be seen as pending: the image was in the cache")
  const { status, output } = await building
  assert.equal(status, 0, output)
  assert.match(output, new RegExp(debianImage.id))
  assert.equal(await stateOf(cloud), "available")
  tell(`built in ${Math.round((performance.now() - started) / 1000)} s`)
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

async function launch({ client }: Cloud): Promise<string> {
  const disk = { DeviceName: debianImage.rootDeviceName, Ebs: { VolumeSize: rootGiB } }
  const wish = { ImageId: debianImage.id, InstanceType: "t3.small", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  const content = { UserData: Buffer.from(userData).toString("base64"), BlockDeviceMappings: [disk] }
  const { Instances: [instance] = [] } = await client.send(new RunInstancesCommand({ ...wish, ...content }))
  return instance?.InstanceId ?? ""
}

/** Runs a command in the guest as its login user; its output. */
function asAdmin(cloud: Cloud, address: string, command: string, timeoutMs = 40_000): Promise<string> {
  const words = sshWords(cloud, address).map((word) => word.replace(/^ec2-user@/, `${debianImage.loginUser}@`))
  return new Promise((resolve, reject) => {
    execFile("ssh", [...words, command], { timeout: timeoutMs }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(`ssh ${address}: ${error.message} ${stderr}`)),
    )
  })
}

/** GetConsoleOutput has the host key that a client can compare, as on EC2. */
async function fingerprintShown({ client }: Cloud, id: string, printed: string): Promise<void> {
  const fingerprint = /SHA256:\S{43}/.exec(printed)?.[0] ?? "none"
  const { Output: output = "" } = await client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
  const text = Buffer.from(output, "base64").toString()
  assert.match(text, /BEGIN SSH HOST KEY FINGERPRINTS/)
  assert.ok(text.includes(fingerprint), `${fingerprint} is not on the console`)
}
