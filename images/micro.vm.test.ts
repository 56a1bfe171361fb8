/** Boots the micro image. Needs root, QEMU, e2fsprogs, ssh; packages come from the cache or the distribution. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { buildImage, imagePlan } from "./build.ts"
import type { BuiltImage } from "./build.ts"
import { imageIdOf } from "./catalog.ts"
import { microRecipe } from "./micro/recipe.ts"
import { greetsAsSsh, startGuest, startMetadata, until } from "./testing/guest.ts"
import type { Guest, MetadataService } from "./testing/guest.ts"

const execute = promisify(execFile)
const hostName = "ip-10-0-0-5.ec2.internal"
const userData = "#!/bin/sh\necho user-data speaks as $(id -un)\necho run >>/root/runs\nexit 3\n"
const message = `Content-Type: multipart/mixed; boundary="==b=="\r
MIME-Version: 1.0\r
\r
--==b==\r
Content-Type: text/cloud-config; charset="us-ascii"\r
\r
#cloud-config\r
--==b==\r
Content-Type: text/x-shellscript; charset="us-ascii"\r
Content-Transfer-Encoding: base64\r
\r
${Buffer.from("#!/bin/bash\necho a part speaks\n").toString("base64")}\r
--==b==--\r
`
const firstUuid = "ec2a0001-0000-4000-8000-000000000001"

async function fixture(context: TestContext): Promise<{ folder: string; image: BuiltImage }> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-micro-"))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return { folder, image: await buildImage(microRecipe, { directory: join(folder, "images") }) }
}

test("builds of one image at the same time, in several homes, give the same whole image", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "fractus-micro-"))
  context.after(() => rm(folder, { recursive: true, force: true }))
  const homes = ["a", "a", "b"].map((home) => join(folder, home))
  const steps: string[] = []
  const onProgress = (progress: { step: string; fraction: number }): void => {
    assert.ok(progress.fraction >= 0 && progress.fraction <= 1)
    steps.push(progress.step)
  }
  const images = await Promise.all(homes.map((directory) => buildImage(microRecipe, { directory, onProgress })))
  assert.deepEqual(new Set(images.map(({ id }) => id)), new Set([imageIdOf("fractus-micro-1.6-x86_64")]))
  assert.ok(steps.includes("publish"))
  for (const image of images) {
    assert.equal(image.directory, join(image.directory, "..", image.id))
    const { stdout } = await execute("qemu-img", ["info", "-f", "qcow2", "--output=json", image.diskPath])
    assert.match(stdout, new RegExp(`"virtual-size": ${image.sizeBytes}`))
    assert.match(image.packages["busybox-static"] ?? "", /^\d/)
  }
  assert.deepEqual(await imagePlan(microRecipe), { fetchMB: 0, diskMB: 0, cached: true })
})

test("the image holds no host key, no machine id, no password and a whole file system", async (context) => {
  const { folder, image } = await fixture(context)
  const raw = join(folder, "disk.raw")
  await execute("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", image.diskPath, raw])
  const partition = join(folder, "partition.raw")
  const cut = ["bs=1M", "skip=1", "conv=sparse", "status=none"]
  await execute("dd", [`if=${raw}`, `of=${partition}`, ...cut])
  const ask = async (command: string): Promise<string> => {
    const { stdout, stderr } = await execute("debugfs", ["-R", command, partition])
    return stdout + stderr
  }
  assert.doesNotMatch(await ask("ls -p /etc/dropbear"), /host_key/)
  assert.match(await ask("ls -p /etc/dropbear"), /\/\.\.\//)
  // Places for what an instance is told, and nothing in them.
  assert.match(await ask("stat /etc/machine-id"), /Size: 0$/m)
  assert.doesNotMatch(await ask("ls -p /home/ec2-user/.ssh"), /authorized_keys/)
  assert.match(await ask("ls -p /home/ec2-user/.ssh"), /\/\.\.\//)
  for (const path of ["/etc/hostname", "/var/lib/fractus/instance-id"]) {
    assert.match(await ask(`stat ${path}`), /File not found/, path)
  }
  const shadow = (await ask("cat /etc/shadow")).split("\n").filter((line) => line.includes(":"))
  assert.ok(shadow.length >= 3 && shadow.every((line) => line.split(":")[1] === "*"), shadow.join("\n"))
  assert.match(await ask("stat /etc/shadow"), /Mode: +0600/)
  assert.match(await ask("stat /usr/bin/sudo"), /Mode: +04755/)
  await execute("e2fsck", ["-f", "-n", partition])
})

test(
  "a guest becomes its instance, keeps it over a reboot, and sheds it for another",
  { timeout: 240_000 },
  async (context) => {
    const { folder, image } = await fixture(context)
    await execute("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(folder, "key")])
    const metadata = await startMetadata(context, {
      "meta-data/instance-id": "i-0123456789abcdef0",
      "meta-data/local-hostname": hostName,
      "meta-data/public-keys/0/openssh-key": await readFile(join(folder, "key.pub"), "utf8"),
      "user-data": userData,
      "meta-data/block-device-mapping/": "ami\nebs1\nebs2\nroot\n",
      "meta-data/block-device-mapping/ebs1": "xvdf",
      "meta-data/block-device-mapping/ebs2": "sdg",
    })
    const disk = join(folder, "disk.qcow2")
    await execute("qemu-img", ["create", "-q", "-f", "qcow2", "-b", image.diskPath, "-F", "qcow2", disk, "8G"])
    const common = { image, disk, folder, metadataPort: metadata.port, memoryMiB: 128 }
    const volumes = ["vol0aaa", "vol0bbb"]
    const guest = await startGuest(context, { ...common, name: "first", uuid: firstUuid, volumes })
    await context.test("the first boot: key, name, tools, disk, user-data", () => firstBoot(context, guest))
    await context.test("volumes have the names of the mapping, also those that come later", async () => {
      await volumeNames(guest, metadata)
    })
    await context.test("a reboot runs user-data no second time and keeps the host key", () => afterReboot(guest))
    await context.test("the power button ends it in seconds", () => powerButton(guest))
    await context.test("with another instance id the same disk, started by firmware, is another instance", async () => {
      metadata.tree.set("meta-data/instance-id", "i-0fedcba9876543210")
      metadata.tree.set("user-data", gzipSync(message))
      const uuid = "ec2a0001-0000-4000-8000-000000000002"
      const other = await startGuest(context, { ...common, name: "second", uuid, boot: "firmware" })
      await shedIdentity(other, folder)
    })
  },
)

async function consoleSays(guest: Guest, pattern: RegExp, timeoutMs = 240_000): Promise<RegExpExecArray> {
  return await until(String(pattern), timeoutMs, async () => {
    assert.equal(guest.process.exitCode, null, `QEMU ended: ${await guest.console().catch(() => "")}`)
    return pattern.exec(await guest.console().catch(() => "")) ?? undefined
  })
}

async function firstBoot(context: TestContext, guest: Guest): Promise<void> {
  await consoleSays(guest, /userspace up/)
  const userspaceMs = performance.now() - guest.startedMs
  await until("ssh banner", 240_000, () => greetsAsSsh(guest.sshPort))
  const bannerMs = performance.now() - guest.startedMs
  context.diagnostic(`spawn to userspace ${Math.round(userspaceMs)} ms, to ssh banner ${Math.round(bannerMs)} ms`)
  await consoleSays(guest, /user-data ended with exit code 3/)
  assert.match(await guest.console(), /user-data speaks as root/)
  assert.match(await guest.console(), /-----BEGIN SSH HOST KEY FINGERPRINTS-----\r?\n.* SHA256:\S{43} .*\(ED25519\)/)
  const tools =
    "ip ping nc udhcpc curl sudo lsblk growpart shutdown dd md5sum nohup tee mkfs.ext4 resize2fs sh dropbear poweroff reboot"
  const told = await guest.ssh(`
    id -un; sudo -n id -u; hostname; readlink -f /dev/xvda1; ping -q -c 1 127.0.0.1 2>&1 >/dev/null && echo pings; sudo cat /root/runs; cat /var/log/user-data.log
    for tool in ${tools}; do command -v $tool >/dev/null || echo missing $tool; done
    echo bytes $(df -k / | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2)
    curl --version | head -n 1; sudo mkfs.ext4 -V 2>&1; stat -c %a /home/ec2-user/.ssh/authorized_keys
    wc -c </etc/machine-id; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt
    sudo /usr/lib/fractus/quick-answers eth0 | sed 's/^/slow routes /'`)
  assert.ok(told.startsWith(`ec2-user\n0\n${hostName}\n/dev/vda1\npings\nrun\nuser-data speaks as root\n`), told)
  assert.doesNotMatch(told, /missing/)
  assert.ok(Number(/bytes (\d+)/.exec(told)?.[1]) > 7.5 * 1024 ** 2, `the root is not grown: ${told}`)
  assert.match(told, /^curl \d/m)
  assert.match(told, /^mke2fs \d/m)
  assert.match(told, /^600\n33\n\d{2,}$/m)
  assert.match(told, /^slow routes 0$/m, "what comes by DHCP's routes is acknowledged at once")
}

async function volumeNames(guest: Guest, metadata: MetadataService): Promise<void> {
  const links = "/dev/xvdf /dev/sdf /dev/sdg /dev/xvdg /dev/disk/by-id/virtio-vol0bbb"
  const told = await until("links to volumes", 30_000, () =>
    guest.ssh(`for link in ${links}; do readlink -f $link; done; [ -b /dev/xvdg ]`).catch(() => undefined),
  )
  assert.deepEqual(told.trim().split("\n"), ["/dev/vdb", "/dev/vdb", "/dev/vdc", "/dev/vdc", "/dev/vdc"])
  metadata.tree.set("meta-data/block-device-mapping/", "ami\nebs1\nebs2\nebs3\nroot\n")
  metadata.tree.set("meta-data/block-device-mapping/ebs3", "sdh")
  await guest.qmp("blockdev-add", { driver: "null-co", "node-name": "late", size: 1 << 26, "read-zeroes": true })
  await guest.qmp("device_add", { driver: "virtio-blk-pci", id: "late", drive: "late", serial: "vol0ccc", bus: "plug" })
  assert.match(
    await until("a link to the late volume", 30_000, () => guest.ssh("readlink /dev/xvdh").catch(() => undefined)),
    /^\/dev\/vdd$/m,
  )
  await guest.qmp("device_del", { id: "late" })
  await until("no link to it", 30_000, () => guest.ssh("! [ -L /dev/xvdh ] && echo gone").catch(() => undefined))
}

async function afterReboot(guest: Guest): Promise<void> {
  await guest.ssh("sudo sh -c 'sync; (sleep 1; reboot) >/dev/null 2>&1 &'")
  await consoleSays(guest, /ready after[^]*userspace up[^]*ready after/)
  // The same known_hosts: a new host key would be refused.
  const told = await until("ssh after the reboot", 30_000, () =>
    guest.ssh("sudo cat /root/runs; hostname; uptime; wc -l <.ssh/authorized_keys").catch(() => undefined),
  )
  assert.match(told, /^run\nip-10-0-0-5/)
  assert.match(told, /\n1\n$/)
}

async function powerButton(guest: Guest): Promise<void> {
  await guest.qmp("system_powerdown")
  const ended = await Promise.race([
    guest.ended,
    new Promise((resolve) => setTimeout(resolve, 240_000, "still running").unref()),
  ])
  assert.deepEqual(ended, [0, null])
  assert.match(await guest.console(), /reboot: Power down/)
}

async function shedIdentity(guest: Guest, folder: string): Promise<void> {
  await consoleSays(guest, /a part speaks[^]*user-data ended with exit code 0/)
  await assert.rejects(guest.ssh("true"), /HOST IDENTIFICATION HAS CHANGED|Host key verification failed/)
  await rm(join(folder, "known_hosts"))
  const told = await guest.ssh(
    "sudo cat /var/lib/fractus/instance-id /root/runs; sudo findfs LABEL=fractus-root; cat /etc/motd",
  )
  assert.match(told, /^i-0fedcba9876543210\nrun\n\/dev\/vda1\nFractus micro/)
  // The connection may end before the command has answered.
  await guest.ssh("sudo poweroff").catch(() => {})
  assert.deepEqual(
    await Promise.race([guest.ended, new Promise((resolve) => setTimeout(resolve, 240_000, "still running").unref())]),
    [0, null],
  )
}
