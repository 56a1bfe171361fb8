/** No room on the disk for a new guest: its launch ends, says why, and leaves nothing; with room, launches go on. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmdirSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { RunInstancesCommand } from "@aws-sdk/client-ec2"
import { startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

/** What `up` wants to be free, MiB; little of it is ever used. */
const roomyMiB = 6144
/** Less than a volume's file takes, and enough for the records of the API. */
const leftKiB = 160

test("a launch without room for its disk is terminated with the reason, and leaves nothing", async (t) => {
  const small = mkdtempSync(join(tmpdir(), "fractus-small-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${roomyMiB}m,mode=0755`, "none", small])
  try {
    await t.test("on a small file system", (context) => launch(context, small))
  } finally {
    execFileSync("umount", [small])
    rmdirSync(small)
  }
})

async function launch(t: TestContext, place: string): Promise<void> {
  const cloud = await startCloud(t, 5404, place)
  const one = async () => {
    const words = { ImageId: cloud.imageId, InstanceType: "t3.nano", MinCount: 1, MaxCount: 1 } as const
    return (await cloud.client.send(new RunInstancesCommand(words))).Instances?.[0]?.InstanceId ?? ""
  }
  const seen = async (id: string) => (await cloud.instances()).find(({ InstanceId }) => InstanceId === id)
  const resize = (sizeKiB: number) => execFileSync("mount", ["-o", `remount,size=${sizeKiB}k`, place])

  const { blocks, bfree, bsize } = statfsSync(place)
  resize(Math.ceil(((blocks - bfree) * bsize) / 1024) + leftKiB)
  const refused = await one()
  // Its end is said while the disk is full, and written down once there is room for that.
  const { StateReason: reason } = await until("the launch ends", 90_000, async () => {
    const found = await seen(refused)
    return found?.State?.Name === "pending" ? undefined : found
  })
  assert.equal(reason?.Code, "Server.InternalError")
  assert.match(reason.Message ?? "", /^Server\.InternalError: vol-[0-9a-f]+: no space left on the host's disk$/)
  resize(roomyMiB * 1024)
  await cloud.settled()
  const ended = await seen(refused)
  assert.deepEqual([ended?.State?.Name, ended?.StateReason], ["terminated", reason])
  assert.deepEqual(await wrongIn(cloud), [])

  const launched = await one()
  await cloud.settled()
  assert.equal((await seen(launched))?.State?.Name, "running")
  assert.deepEqual(await wrongIn(cloud), [])
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [])
}
