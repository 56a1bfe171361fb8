/** The life of real guests through the API: on, off, anew, with another type, by their own wish and by a kill. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import {
  DescribeInstanceStatusCommand,
  DescribeVolumesCommand,
  GetConsoleOutputCommand,
  GetConsoleScreenshotCommand,
  type Instance,
  ModifyInstanceAttributeCommand,
  ModifyInstanceMaintenanceOptionsCommand,
  ModifyPrivateDnsNameOptionsCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

/** From a start to a login, on a machine that has other work as well. */
const loginMs = 300_000
/** What a guest may take to hear the power button and end; the host's own patience is longer. */
const endMs = 180_000

test("guests live as EC2 says", { concurrency: 3 }, async (t) => {
  const cloud = await startCloud(t, 5201)
  const life = { t, cloud }
  // At the same time, since most of it is waiting for kernels to boot.
  const [main, stopper] = await Promise.all([firstRun(life), leavesToStop(life), leavesForGood(life)])
  await t.test(
    "a QEMU that was killed is started again as the same instance, or leaves it impaired with a reason",
    () => killed(cloud, stopper),
  )
  await t.test("a type and user data changed while stopped are what the next start gives, on the same disks", () =>
    anotherType(cloud, main),
  )
  await t.test("a forced stop asks nobody, and the next start works", () => forced(cloud, main))
  await terminateAll(cloud)
  await cloud.settled()
  assert.deepEqual(await wrongIn(cloud), [], "after all were terminated")
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [], "after down")
})

interface Life {
  readonly t: TestContext
  readonly cloud: Cloud
}

async function launch(cloud: Cloud, more: Partial<RunInstancesCommandInput>): Promise<string> {
  const { Instances: made = [] } = await cloud.client.send(
    new RunInstancesCommand({ ImageId: cloud.imageId, KeyName: "test", MinCount: 1, MaxCount: 1, ...more }),
  )
  return made[0]?.InstanceId ?? ""
}

async function look(cloud: Cloud, id: string): Promise<Instance> {
  const found = (await cloud.instances()).find(({ InstanceId }) => InstanceId === id)
  assert.ok(found, `${id} is described`)
  return found
}

/** Waits for a state; fails at once when another final one comes instead. */
const becomes = (cloud: Cloud, id: string, state: string, timeoutMs: number) =>
  until(`${id} is ${state}`, timeoutMs, async () => {
    const instance = await look(cloud, id)
    return instance.State?.Name === state ? instance : undefined
  })

/** The address, once a login works there. */
async function login(cloud: Cloud, id: string): Promise<string> {
  const { PublicIpAddress: address = "" } = await becomes(cloud, id, "running", loginMs)
  assert.match(address, /^198\.1[89]\./)
  await until(`${id} lets its key in`, loginMs, async () =>
    (await banner(address)) === undefined ? undefined : inGuest(cloud, address, "id").catch(() => undefined),
  )
  return address
}

const bootId = "cat /proc/sys/kernel/random/boot_id"
const shape = "nproc; sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"

/** Processors and memory as the guest sees them; the kernel keeps a part of the memory for itself. */
async function assertShape(cloud: Cloud, address: string, vcpus: number, memoryMiB: number): Promise<void> {
  const [seen, memoryKiB] = (await inGuest(cloud, address, shape)).split("\n").map(Number)
  assert.equal(seen, vcpus)
  assert.ok(
    memoryKiB! / 1024 <= memoryMiB && memoryKiB! / 1024 > memoryMiB * 0.85,
    `${memoryKiB} KiB of ${memoryMiB} MiB`,
  )
}

/** Launches with a second volume, puts data on both, reboots, stops by the power button. */
async function firstRun({ t, cloud }: Life): Promise<string> {
  const devices = [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 1, DeleteOnTermination: true } }]
  const id = await launch(cloud, { InstanceType: "t2.micro", BlockDeviceMappings: devices })
  const address = await login(cloud, id)
  await t.test("type, second volume, console and picture of a guest are as asked", async () => {
    await assertShape(cloud, address, 1, 1024)
    const volume = "until [ -b /dev/xvdf ]; do usleep 100000; done; lsblk -bno SIZE /dev/xvdf | head -1"
    assert.equal(await inGuest(cloud, address, volume), String(2 ** 30))
    const fill =
      "mkfs.ext4 -q /dev/xvdf && mount /dev/xvdf /mnt && echo second >/mnt/kept && echo first >/root/kept && sync"
    await inGuest(cloud, address, `sudo sh -ec '${fill}'`)
    const { Output: output } = await cloud.client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
    assert.match(Buffer.from(output ?? "", "base64").toString(), /SSH HOST KEY FINGERPRINTS/)
    const { ImageData: image } = await cloud.client.send(new GetConsoleScreenshotCommand({ InstanceId: id }))
    const picture = Buffer.from(image ?? "", "base64")
    assert.deepEqual([...picture.subarray(0, 3)], [0xff, 0xd8, 0xff])
    // A dark screen of this size takes a sixth of that.
    assert.ok(picture.length > 30_000, `text fills the picture: ${picture.length} bytes`)
  })
  await t.test("a reboot is another boot of the same machine", async () => {
    const first = await inGuest(cloud, address, bootId)
    const pid = (await cloud.processes()).get(`qemu ${id}`)
    await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [id] }))
    const second = await until("another boot", loginMs, async () => {
      const now = await inGuest(cloud, address, bootId).catch(() => first)
      return now === first ? undefined : now
    })
    assert.match(second, /^[0-9a-f-]{36}$/)
    assert.equal(await inGuest(cloud, address, "sudo cat /root/kept"), "first")
    assert.equal((await cloud.processes()).get(`qemu ${id}`), pid)
    assert.equal((await look(cloud, id)).PublicIpAddress, address)
  })
  await t.test("a stop lets the guest end by itself", async () => {
    const startMs = performance.now()
    await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id] }))
    const stopped = await becomes(cloud, id, "stopped", endMs)
    assert.match(stopped.StateTransitionReason ?? "", /^User initiated/)
    assert.equal(stopped.StateReason?.Code, "Client.UserInitiatedShutdown")
    assert.equal(stopped.PublicIpAddress, undefined)
    const output = await cloud.client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
    assert.match(Buffer.from(output.Output ?? "", "base64").toString(), /reboot: Power down/)
    t.diagnostic(`stop by the power button: ${(performance.now() - startMs) | 0} ms`)
  })
  return id
}

/** Powers itself off with behaviour "stop", and is started again. */
async function leavesToStop({ t, cloud }: Life): Promise<string> {
  const id = await launch(cloud, { InstanceType: "t2.nano", InstanceInitiatedShutdownBehavior: "stop" })
  const address = await login(cloud, id)
  await t.test("a guest that powers off is stopped when it is to stop", async () => {
    await inGuest(cloud, address, "sudo poweroff").catch(() => {})
    const { StateReason: reason } = await becomes(cloud, id, "stopped", endMs)
    assert.equal(reason?.Code, "Client.InstanceInitiatedShutdown")
    await callById(cloud, id)
    await cloud.client.send(new StartInstancesCommand({ InstanceIds: [id] }))
    const again = await login(cloud, id)
    const { PrivateIpAddress: own = "", PrivateDnsName: name = "" } = await look(cloud, id)
    const seen = await inGuest(cloud, again, `hostname; nslookup -type=a ${name}; nslookup ${own}`)
    assert.ok(seen.startsWith(id), `it is called by its id: ${seen}`)
    assert.ok(seen.includes(`Address: ${own}`) && seen.includes(`name = ${name}`), seen)
  })
  return id
}

/** From its next start on. */
async function callById(cloud: Cloud, InstanceId: string): Promise<void> {
  const options = { PrivateDnsHostnameType: "resource-name", EnableResourceNameDnsARecord: true } as const
  await cloud.client.send(new ModifyPrivateDnsNameOptionsCommand({ InstanceId, ...options }))
}

/** Powers itself off with behaviour "terminate". */
async function leavesForGood({ t, cloud }: Life): Promise<void> {
  const id = await launch(cloud, { InstanceType: "t2.nano", InstanceInitiatedShutdownBehavior: "terminate" })
  const address = await login(cloud, id)
  await t.test("a guest that powers off is terminated, with its volume, when it is to terminate", async () => {
    await inGuest(cloud, address, "sudo poweroff").catch(() => {})
    const { StateReason: reason } = await becomes(cloud, id, "terminated", endMs)
    assert.equal(reason?.Code, "Client.InstanceInitiatedShutdown")
    const filter = [{ Name: "attachment.instance-id", Values: [id] }]
    const { Volumes: volumes } = await cloud.client.send(new DescribeVolumesCommand({ Filters: filter }))
    assert.deepEqual(volumes, [])
  })
}

/** Its QEMU is killed: it is recovered with all that it had. Then once more, with recovery switched off. */
async function killed(cloud: Cloud, id: string): Promise<void> {
  const { PublicIpAddress: address = "", PrivateIpAddress: inside } = await look(cloud, id)
  const first = await inGuest(cloud, address, `${bootId}; sudo sh -c 'echo kept >/root/kept; sync'`)
  await killQemu(cloud, id)
  const back = await until(`${id} is recovered`, loginMs, async () => {
    const boot = (await banner(address)) && (await inGuest(cloud, address, bootId).catch(() => undefined))
    return boot === undefined || boot === first ? undefined : look(cloud, id)
  })
  assert.deepEqual([back.State?.Name, back.PublicIpAddress, back.PrivateIpAddress], ["running", address, inside])
  assert.equal(back.StateReason, undefined)
  assert.equal(await inGuest(cloud, address, "sudo cat /root/kept"), "kept")

  const options = { InstanceId: id, AutoRecovery: "disabled" } as const
  await cloud.client.send(new ModifyInstanceMaintenanceOptionsCommand(options))
  await cloud.settled()
  await killQemu(cloud, id)
  await until(`${id} is impaired`, endMs, async () => {
    const { InstanceStatuses: [status] = [] } = await cloud.client.send(
      new DescribeInstanceStatusCommand({ InstanceIds: [id] }),
    )
    return status?.SystemStatus?.Status === "impaired" && status.InstanceStatus?.Status === "impaired"
      ? status
      : undefined
  })
  await cloud.settled()
  const down = await look(cloud, id)
  assert.deepEqual([down.State?.Name, down.StateReason?.Code], ["running", "Server.InternalError"])
  assert.match(down.StateReason?.Message ?? "", /automatic recovery is disabled/)
  assert.equal((await cloud.processes()).has(`qemu ${id}`), false, "it stays down")
  await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id] }))
  await becomes(cloud, id, "stopped", endMs)
}

async function killQemu(cloud: Cloud, id: string): Promise<void> {
  const pid = (await cloud.processes()).get(`qemu ${id}`)
  assert.ok(pid, "it runs")
  process.kill(pid, "SIGKILL")
}

const readUserData =
  "m=http://169.254.169.254/latest; " +
  "t=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $m/api/token); " +
  'curl -sH "X-aws-ec2-metadata-token: $t" $m/user-data'

async function anotherType(cloud: Cloud, id: string): Promise<void> {
  const old = await look(cloud, id)
  await cloud.client.send(new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType: { Value: "t3.small" } }))
  await cloud.client.send(
    new ModifyInstanceAttributeCommand({ InstanceId: id, UserData: { Value: Buffer.from("said later") } }),
  )
  await cloud.client.send(new StartInstancesCommand({ InstanceIds: [id] }))
  const address = await login(cloud, id)
  await assertShape(cloud, address, 2, 2048)
  assert.equal(await inGuest(cloud, address, readUserData), "said later")
  assert.equal((await look(cloud, id)).PrivateIpAddress, old.PrivateIpAddress)
  const read =
    "until [ -b /dev/xvdf ]; do usleep 100000; done; sudo mount /dev/xvdf /mnt && cat /mnt/kept && sudo cat /root/kept"
  assert.equal(await inGuest(cloud, address, read), "second\nfirst")
}

async function forced(cloud: Cloud, id: string): Promise<void> {
  const { PublicIpAddress: address } = await look(cloud, id)
  // Deaf to the power button: only force ends it.
  await inGuest(cloud, address ?? "", "sudo sh -c 'echo new >/root/kept; sync; chmod -x /etc/acpi/PWRF/00000080'")
  const startMs = performance.now()
  await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id], Force: true }))
  await becomes(cloud, id, "stopped", endMs)
  assert.ok(performance.now() - startMs < 45_000, "before the 60 s that an ordinary stop waits")
  await cloud.client.send(new StartInstancesCommand({ InstanceIds: [id] }))
  const next = await login(cloud, id)
  assert.notEqual(next, address, "a start gives another public address")
  assert.equal(await inGuest(cloud, next, "sudo cat /root/kept"), "new")
}

async function terminateAll(cloud: Cloud): Promise<void> {
  const left = (await cloud.instances()).filter(({ State }) => State?.Name !== "terminated")
  const InstanceIds = left.map(({ InstanceId }) => InstanceId ?? "")
  if (InstanceIds.length > 0) await cloud.client.send(new TerminateInstancesCommand({ InstanceIds }))
  await Promise.all(InstanceIds.map((id) => becomes(cloud, id, "terminated", endMs)))
}
