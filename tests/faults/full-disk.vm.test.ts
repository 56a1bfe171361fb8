/** The disk of a home fills up while it serves, and later there is room again. Mounts a small tmpfs, so it needs root. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { appendFileSync, mkdtempSync, rmdirSync, rmSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { microImage } from "#images/catalog.ts"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient } from "./client.ts"
import { brokenIn } from "./whole.ts"
import { at, textAt } from "./xml.ts"

const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 5, MaxCount: 5 }
/** Long enough for retries of every kind to meet it. */
const fullForMs = 1500

test("a full disk refuses changes, loses none, and ends when there is room", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "fractus-full-home-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", home])
  let daemon: SimDaemon | undefined
  t.after(async () => {
    // In this order: a mount that is in use stays.
    await daemon?.stop()
    execFileSync("umount", [home])
    rmdirSync(home)
  })
  daemon = await startSimDaemon({ auth: "off", home, simSpeed: 50 })
  const client = createClient(daemon.endpoint)
  t.after(() => client.close())
  await client.ok("RunInstances", launch)
  await daemon.settled()

  const acknowledged = new Set(await ids(client))
  const ballast = join(home, "ballast")
  fill(ballast, 1_500_000)
  const refusals = await launchUntilRefused(client, acknowledged)
  assert.deepEqual(new Set(refusals), new Set(["500 InternalError"]))
  assert.match(daemon.log(), /the disk of .* is full/)

  fill(ballast, 0)
  const end = performance.now() + fullForMs
  while (performance.now() < end) {
    assert.equal((await client.call("RunInstances", launch)).status, 500)
    assert.deepEqual(new Set(await ids(client)), acknowledged)
    await delay(100)
  }
  assert.deepEqual(brokenIn(home), [])

  rmSync(ballast)
  const later = await client.ok("RunInstances", launch)
  for (const id of at(later, "instancesSet", "item", "instanceId")) acknowledged.add(id.text)
  await daemon.settled()
  // A launch that found no room for its volume has ended and says so; every other one runs, and none is lost.
  const seen = await states(client)
  assert.deepEqual(new Set(seen.keys()), acknowledged)
  for (const id of seen.keys()) assert.match(seen.get(id) ?? "", /^(running|terminated)$/)
  const ended = [...seen].filter(([, state]) => state === "terminated").map(([id]) => id)
  assert.deepEqual(new Set(await endedForWantOfRoom(client)), new Set(ended))
  for (const { text } of at(later, "instancesSet", "item", "instanceId")) assert.equal(seen.get(text), "running")
  assert.deepEqual(brokenIn(home), [])

  await daemon.kill9()
  await daemon.restart()
  await daemon.settled()
  assert.deepEqual(new Set(await ids(client)), acknowledged)
})

/** Instances whose end was for a disk without room. */
async function endedForWantOfRoom(client: Client): Promise<string[]> {
  const reason = { "Filter.1.Name": "state-reason-message", "Filter.1.Value.1": "*no space left*" }
  const answer = await client.ok("DescribeInstances", reason)
  return at(answer, "reservationSet", "item", "instancesSet", "item", "instanceId").map(({ text }) => text)
}

/** Grows the file until so many bytes are free. */
function fill(path: string, leaveBytes: number): void {
  for (;;) {
    const { bavail, bsize } = statfsSync(join(path, ".."))
    const room = bavail * bsize - leaveBytes
    if (room < bsize) return
    appendFileSync(path, Buffer.alloc(Math.min(room, 1_000_000)))
  }
}

async function launchUntilRefused(client: Client, acknowledged: Set<string>): Promise<readonly string[]> {
  const refusals: string[] = []
  for (let round = 0; round < 200 && refusals.length < 5; round++) {
    const answers = await Promise.all([1, 2, 3].map(() => client.call("RunInstances", launch)))
    for (const { status, code, xml } of answers) {
      if (code !== "") refusals.push(`${status} ${code}`)
      for (const id of at(xml, "instancesSet", "item", "instanceId")) acknowledged.add(id.text)
    }
  }
  return refusals
}

async function states(client: Client): Promise<ReadonlyMap<string, string>> {
  const items = at(await client.ok("DescribeInstances"), "reservationSet", "item", "instancesSet", "item")
  return new Map(items.map((item) => [textAt(item, "instanceId") ?? "", textAt(item, "instanceState", "name") ?? ""]))
}

const ids = async (client: Client) => [...(await states(client)).keys()]
