/** Boots the micro image. Needs root, QEMU, e2fsprogs, ssh; packages come from the cache or the distribution. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { promisify } from "node:util"
import { buildImage, imagePlan } from "./build.ts"
import type { BuiltImage } from "./build.ts"
import { imageIdOf } from "./catalog.ts"
import { microRecipe } from "./micro/recipe.ts"
import { greetsAsSsh, startGuest, startMetadata, until } from "./testing/guest.ts"
import type { Guest } from "./testing/guest.ts"

const execute = promisify(execFile)
const hostName = "ip-10-0-0-5.ec2.internal"
const userData = "#!/bin/sh\necho user-data speaks as $(id -un)\necho run >>/root/runs\nexit 3\n"
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
  assert.deepEqual(new Set(images.map(({ id }) => id)), new Set([imageIdOf("fractus-micro-1.0-x86_64")]))
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
  const ask = async (command: string): Promise<string> => {
    const { stdout, stderr } = await execute("debugfs", ["-R", command, raw])
    return stdout + stderr
  }
  assert.doesNotMatch(await ask("ls -p /etc/dropbear"), /host_key/)
  assert.match(await ask("ls -p /etc/dropbear"), /\/\.\.\//)
  for (const path of ["/etc/machine-id", "/etc/hostname", "/home/ec2-user/.ssh", "/var/lib/fractus/instance-id"]) {
    assert.match(await ask(`stat ${path}`), /File not found/, path)
  }
  const shadow = (await ask("cat /etc/shadow")).split("\n").filter((line) => line.includes(":"))
  assert.ok(shadow.length >= 3 && shadow.every((line) => line.split(":")[1] === "*"), shadow.join("\n"))
  assert.match(await ask("stat /etc/shadow"), /Mode: +0600/)
  assert.match(await ask("stat /usr/bin/sudo"), /Mode: +04755/)
  await execute("e2fsck", ["-f", "-n", raw])
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
    })
    const disk = join(folder, "disk.qcow2")
    await execute("qemu-img", ["create", "-q", "-f", "qcow2", "-b", image.diskPath, "-F", "qcow2", disk, "8G"])
    const boot = (name: string, uuid: string): Promise<Guest> =>
      startGuest(context, { image, disk, folder, name, uuid, metadataPort: metadata.port, memoryMiB: 128 })

    const guest = await boot("first", firstUuid)
    await context.test("the first boot: key, name, tools, disk, user-data", () => firstBoot(context, guest))
    await context.test("a reboot runs user-data no second time and keeps the host key", () => afterReboot(guest))
    await context.test("the power button ends it in seconds", () => powerButton(guest))
    await context.test("with another instance id the same disk is another instance", async () => {
      metadata.tree.set("meta-data/instance-id", "i-0fedcba9876543210")
      metadata.tree.set("user-data", "no script")
      const other = await boot("second", "ec2a0001-0000-4000-8000-000000000002")
      await shedIdentity(other, folder)
    })
  },
)

async function consoleSays(guest: Guest, pattern: RegExp, timeoutMs = 60_000): Promise<RegExpExecArray> {
  return await until(String(pattern), timeoutMs, async () => {
    assert.equal(guest.process.exitCode, null, `QEMU ended: ${await guest.console().catch(() => "")}`)
    return pattern.exec(await guest.console().catch(() => "")) ?? undefined
  })
}

async function firstBoot(context: TestContext, guest: Guest): Promise<void> {
  await consoleSays(guest, /userspace up/)
  const userspaceMs = performance.now() - guest.startedMs
  await until("ssh banner", 60_000, () => greetsAsSsh(guest.sshPort))
  const bannerMs = performance.now() - guest.startedMs
  context.diagnostic(`spawn to userspace ${Math.round(userspaceMs)} ms, to ssh banner ${Math.round(bannerMs)} ms`)
  await consoleSays(guest, /user-data ended with exit code 3/)
  assert.match(await guest.console(), /user-data speaks as root/)
  assert.match(await guest.console(), /-----BEGIN SSH HOST KEY FINGERPRINTS-----\r?\n.* SHA256:\S{43} .*\(ED25519\)/)
  const tools = "ip ping nc udhcpc curl sudo dd md5sum tee mkfs.ext4 resize2fs sh dropbear poweroff reboot"
  const told = await guest.ssh(`
    id -un; sudo -n id -u; hostname; readlink -f /dev/xvda; sudo cat /root/runs; cat /var/log/user-data.log
    for tool in ${tools}; do command -v $tool >/dev/null || echo missing $tool; done
    echo bytes $(df -k / | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2)
    curl --version | head -n 1; sudo mkfs.ext4 -V 2>&1; stat -c %a /home/ec2-user/.ssh/authorized_keys
    wc -c </etc/machine-id; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt`)
  assert.ok(told.startsWith(`ec2-user\n0\n${hostName}\n/dev/vda\nrun\nuser-data speaks as root\n`), told)
  assert.doesNotMatch(told, /missing/)
  assert.ok(Number(/bytes (\d+)/.exec(told)?.[1]) > 7.5 * 1024 ** 2, `the root is not grown: ${told}`)
  assert.match(told, /^curl \d/m)
  assert.match(told, /^mke2fs \d/m)
  assert.match(told, /^600\n33\n\d{2,}$/m)
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
    new Promise((resolve) => setTimeout(resolve, 10_000, "still running").unref()),
  ])
  assert.deepEqual(ended, [0, null])
  assert.match(await guest.console(), /reboot: Power down/)
}

async function shedIdentity(guest: Guest, folder: string): Promise<void> {
  await consoleSays(guest, /user-data is no script/)
  await assert.rejects(guest.ssh("true"), /HOST IDENTIFICATION HAS CHANGED|Host key verification failed/)
  await rm(join(folder, "known_hosts"))
  const told = await guest.ssh(
    "sudo cat /var/lib/fractus/instance-id /var/lib/fractus/user-data; sudo cat /root/runs; sudo poweroff",
  )
  assert.match(told, /^i-0fedcba9876543210\nno script\s*run\n/)
  assert.deepEqual(
    await Promise.race([guest.ended, new Promise((resolve) => setTimeout(resolve, 15_000, "still running").unref())]),
    [0, null],
  )
}
