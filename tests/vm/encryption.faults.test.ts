/** Encrypted volumes of a real guest: what it writes is not on the host's disk, and is there again after whatever happens. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import {
  DescribeVolumesCommand,
  type Instance,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"

const sentence = "what the guest wrote, over and over; "
const write = (to: string) => `awk 'BEGIN{for(i=0;i<4000;i++)printf "${sentence}"}' | sudo dd of=${to} bs=4k conv=fsync`

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

/** Its address, when it greets. */
async function greets(cloud: Cloud, id: string): Promise<string> {
  const address = await until(`${id} to have an address`, 90_000, async () => (await find(cloud, id)).PublicIpAddress)
  await until(`${id} to greet`, 120_000, () => banner(address))
  return address
}

async function stop(cloud: Cloud, id: string): Promise<void> {
  await cloud.client.send(new StopInstancesCommand({ InstanceIds: [id], Force: true }))
  await cloud.settled()
}

const start = (cloud: Cloud, id: string) => cloud.client.send(new StartInstancesCommand({ InstanceIds: [id] }))

/** Device -> its file on the host, and whether the API says that it is encrypted. */
async function volumes(cloud: Cloud) {
  const { Volumes: found = [] } = await cloud.client.send(new DescribeVolumesCommand({}))
  return new Map(
    found.map(({ VolumeId, Attachments, Encrypted }) => [
      Attachments?.[0]?.Device ?? "",
      { file: join(cloud.home, "volumes", `${VolumeId}.qcow2`), encrypted: Encrypted },
    ]),
  )
}

test(
  "what a guest writes to its encrypted volumes is noise on the host, and its own over stop, start, reset and kill -9",
  { timeout: 400_000 },
  async (t: TestContext) => {
    const cloud = await startCloud(t, 5540)
    const data = (DeviceName: string, Encrypted: boolean) => ({ DeviceName, Ebs: { VolumeSize: 1, Encrypted } })
    const mappings = [
      { DeviceName: "/dev/xvda", Ebs: { Encrypted: true } },
      data("/dev/sdb", true),
      data("/dev/sdc", false),
    ]
    const { Instances: [instance] = [] } = await cloud.client.send(
      new RunInstancesCommand({
        ImageId: cloud.imageId,
        InstanceType: "t3.nano",
        KeyName: "test",
        MinCount: 1,
        MaxCount: 1,
        BlockDeviceMappings: mappings,
      }),
    )
    const id = instance?.InstanceId ?? ""
    const address = await greets(cloud, id)
    for (const to of ["/root/file", "/dev/vdb", "/dev/vdc"]) await inGuest(cloud, address, write(to))
    const found = await volumes(cloud)
    const seen = [...found].map(([device, { file, encrypted }]) => [
      device,
      encrypted,
      readFileSync(file).includes(sentence.repeat(3)),
    ])
    assert.deepEqual(
      seen.toSorted(([a], [b]) => String(a).localeCompare(String(b))),
      [
        ["/dev/sdb", true, false],
        ["/dev/sdc", false, true],
        ["/dev/xvda", true, false],
      ],
    )

    const processes = await cloud.processes()
    const keyFile = join(cloud.home, "host", "keys", readdirSync(join(cloud.home, "host", "keys"))[0] ?? "")
    for (const name of ["fractus-api", "guest-services", `qemu ${id}`]) {
      const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${processes.get(name)}/status`, "utf8"))?.[1]
      const { status, stderr } = spawnSync("setpriv", [`--reuid=${uid}`, "--clear-groups", "cat", keyFile])
      assert.notEqual(status, 0, name)
      assert.match(String(stderr), /Permission denied/, name)
    }
    const host = processes.get("fractus-host") ?? assert.fail("no host")
    process.kill(host, "SIGKILL")
    await cloud.up()
    const read = "sudo cat /root/file | md5sum; sudo head -c 148000 /dev/vdb | md5sum"
    const sums = await inGuest(cloud, address, read)
    const [one, two] = sums.split("\n")
    assert.match(sums, /^[0-9a-f]{32}/)
    assert.equal(one, two)

    await stop(cloud, id)
    const keys = join(cloud.home, "host", "keys")
    renameSync(keys, `${keys}.away`)
    await start(cloud, id)
    const stopped = await until("the start to be refused", 240_000, async () => {
      const now = await find(cloud, id)
      return now.State?.Name === "stopped" ? now : undefined
    })
    assert.equal(stopped.StateReason?.Message, "Client.InternalError: Client error on launch")
    renameSync(`${keys}.away`, keys)
    await start(cloud, id)
    assert.equal(await inGuest(cloud, await greets(cloud, id), read), sums)

    await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    await cloud.settled()
    assert.deepEqual(
      readdirSync(join(cloud.home, "volumes")).filter((name) => name.startsWith("vol-")),
      [],
    )
  },
)
