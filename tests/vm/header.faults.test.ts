/** A guest that took over its QEMU may write its disk's header; nothing that it says there is opened for it at the next start. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readdirSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import { RunInstancesCommand, StartInstancesCommand, StopInstancesCommand } from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"

async function greets(cloud: Cloud): Promise<string> {
  const find = async () => (await cloud.instances())[0]?.PublicIpAddress
  const address = await until("an address", 90_000, find)
  await until("it to greet", 120_000, () => banner(address))
  return address
}

const openFiles = (pid: number): readonly string[] =>
  readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))

test("a disk stands on its image, whatever its header says", { timeout: 400_000 }, async (t: TestContext) => {
  const cloud = await startCloud(t, 5600)
  const { Instances: [instance] = [] } = await cloud.client.send(
    new RunInstancesCommand({
      ImageId: cloud.imageId,
      InstanceType: "t3.nano",
      KeyName: "test",
      MinCount: 1,
      MaxCount: 1,
    }),
  )
  const ids = { InstanceIds: [instance?.InstanceId ?? ""] }
  await inGuest(cloud, await greets(cloud), "echo kept | sudo tee /root/kept && sync")
  await cloud.client.send(new StopInstancesCommand({ ...ids, Force: true }))
  await cloud.settled()

  const volume = readdirSync(join(cloud.home, "volumes")).find((name) => /^vol-.*\.qcow2$/.test(name))
  const disk = join(cloud.home, "volumes", volume ?? "")
  const secret = join(cloud.home, "secret")
  writeFileSync(secret, Buffer.alloc(1 << 20, "secret"), { mode: 0o600 })
  execFileSync("qemu-img", ["rebase", "-u", "-F", "raw", "-b", secret, disk])
  await cloud.client.send(new StartInstancesCommand(ids))
  assert.equal(await inGuest(cloud, await greets(cloud), "sudo cat /root/kept"), "kept")
  const pid = (await cloud.processes()).get(`qemu ${ids.InstanceIds[0]}`) ?? 0
  const open = openFiles(pid)
  assert.ok(open.includes(disk), open.join(", "))
  assert.ok(!open.includes(secret), open.join(", "))
})
