/** The machine's disk is full: the guest that needs it waits, is said to be impaired all along, and goes on by itself with its data right. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmdirSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { DescribeInstanceStatusCommand, RunInstancesCommand } from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"

const mebibyte = 1 << 20
/** MiB that the guest writes, and that there are. */
const written = 60
const found = 30
/** What `up` wants to be free, MiB; little of it is ever used. */
const roomy = 6144
const watchMs = 12_000

test("a full disk pauses a guest that writes, visibly, until there is room", async (t) => {
  const small = mkdtempSync(join(tmpdir(), "fractus-small-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${roomy}m,mode=0755`, "none", small])
  try {
    await t.test("on a small file system", (context) => fill(context, small))
  } finally {
    execFileSync("umount", [small])
    rmdirSync(small)
  }
})

const resize = (place: string, sizeMiB: number) => execFileSync("mount", ["-o", `remount,size=${sizeMiB}m`, place])

/** A cloud whose home is below `place`. */
async function cloudIn(t: TestContext, place: string): Promise<Cloud> {
  const usual = process.env["TMPDIR"]
  process.env["TMPDIR"] = place
  try {
    return await startCloud(t, 5202)
  } finally {
    if (usual === undefined) delete process.env["TMPDIR"]
    else process.env["TMPDIR"] = usual
  }
}

async function fill(t: TestContext, small: string): Promise<void> {
  const cloud = await cloudIn(t, small)
  const launch = { ImageId: cloud.imageId, InstanceType: "t2.nano", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  const made = await cloud.client.send(new RunInstancesCommand(launch))
  const id = made.Instances?.[0]?.InstanceId ?? ""
  await cloud.settled()
  const address = (await cloud.instances())[0]?.PublicIpAddress ?? ""
  await until("a login", 180_000, async () =>
    (await banner(address)) === undefined ? undefined : inGuest(cloud, address, "id").catch(() => undefined),
  )
  const status = async () => {
    const { InstanceStatuses: all = [] } = await cloud.client.send(
      new DescribeInstanceStatusCommand({ InstanceIds: [id] }),
    )
    return `${all[0]?.InstanceState?.Name} ${all[0]?.InstanceStatus?.Status}`
  }
  assert.doesNotMatch(await status(), /impaired/)

  const { blocks, bfree, bsize } = statfsSync(small)
  resize(small, Math.ceil(((blocks - bfree) * bsize) / mebibyte) + found)
  const write = `head -c ${written * mebibyte} /dev/urandom | tee /root/big | sha256sum >/run/sum; sync; echo done >/run/done`
  const begin = `sudo setsid sh -c 'echo >/run/begun; ${write}' >/dev/null 2>&1 </dev/null &`
  await inGuest(cloud, address, `${begin} until [ -e /run/begun ]; do usleep 50000; done`)
  const startMs = performance.now()
  await until("impaired", 180_000, async () => ((await status()) === "running impaired" ? true : undefined))
  t.diagnostic(`impaired ${(performance.now() - startMs) | 0} ms after the first write`)

  // Nothing is to happen while nothing changes: only looking for a while shows that.
  const seen = new Map<string, number>()
  for (const end = performance.now() + watchMs; performance.now() < end; await delay(100)) {
    const now = await status()
    seen.set(now, (seen.get(now) ?? 0) + 1)
  }
  assert.deepEqual([...seen.keys()], ["running impaired"], JSON.stringify([...seen]))
  assert.equal((await cloud.instances())[0]?.State?.Name, "running")

  resize(small, roomy)
  const roomMs = performance.now()
  await until("it goes on", 180_000, async () => ((await status()).includes("impaired") ? undefined : true))
  t.diagnostic(`not impaired ${(performance.now() - roomMs) | 0} ms after there was room`)
  const done = () => inGuest(cloud, address, "cat /run/done").catch(() => undefined)
  await until("all is written", 180_000, async () => (await done()) || undefined)
  // From the disk, not from the guest's memory of it.
  const again = "sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum </root/big; cat /run/sum"
  const [read, wanted] = (await inGuest(cloud, address, `sudo sh -c '${again}'`)).split("\n")
  assert.match(read ?? "", /^[0-9a-f]{64}/)
  assert.equal(read, wanted)
}
