/** The machine's clock steps by hours while a daemon serves. */
import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient } from "./client.ts"
import { signer } from "./sign.ts"
import { at, textAt } from "./xml.ts"

const hourMs = 3_600_000
const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 4, MaxCount: 4 }

test("a clock that steps back or forth stops nothing, and signatures follow it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "fractus-clock-"))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, "shift")
  await writeFile(file, "0")
  const preload = new URL("clock-shift.ts", import.meta.url).href
  const daemon = await startSimDaemon({
    simSpeed: 1,
    daemonEnv: { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_FILE: file },
  })
  t.after(() => daemon.stop())
  let shiftMs = 0
  const clientAt = (offset: () => number) =>
    createClient(daemon.endpoint, {
      sign: signer(daemon.endpoint, { ...daemon.credentials, at: () => new Date(Date.now() + offset()) }),
    })
  const moved = clientAt(() => shiftMs)
  const unmoved = clientAt(() => 0)
  t.after(() => moved.close())
  t.after(() => unmoved.close())

  const launched: string[] = []
  for (const hours of [0, -25, 24]) {
    shiftMs = hours * hourMs
    await writeFile(file, String(shiftMs))
    assert.equal((await unmoved.call("DescribeVpcs")).code, hours === 0 ? "" : "RequestExpired", `${hours} h`)
    const answer = await moved.ok("RunInstances", launch)
    launched.push(...at(answer, "instancesSet", "item", "instanceId").map((id) => id.text))
    const told = Date.parse(textAt(at(answer, "instancesSet", "item")[0] ?? assert.fail(), "launchTime") ?? "")
    assert.ok(Math.abs(told - Date.now() - shiftMs) < 60_000, "launch times follow the clock")
    await daemon.settled()
    const last = launched.at(-1) ?? ""
    await moved.ok("StopInstances", { "InstanceId.1": last })
    await daemon.settled()
    assert.equal(await stateOf(moved, last), "stopped")
    await moved.ok("StartInstances", { "InstanceId.1": last })
    await daemon.settled()
    assert.equal(await stateOf(moved, last), "running")
  }
  assert.deepEqual(await inPages(moved), launched, "pages are in the order of creation, whatever the clock said")
  await moved.ok("TerminateInstances", Object.fromEntries(launched.map((id, index) => [`InstanceId.${index + 1}`, id])))
  await daemon.settled()
  for (const id of launched) assert.equal(await stateOf(moved, id), "terminated")
})

async function stateOf(client: Client, id: string): Promise<string | undefined> {
  const xml = await client.ok("DescribeInstances", { "InstanceId.1": id })
  return textAt(xml, "reservationSet", "item", "instancesSet", "item", "instanceState", "name")
}

async function inPages(client: Client): Promise<readonly string[]> {
  const found: string[] = []
  let token: string | undefined
  do {
    const xml = await client.ok("DescribeInstances", {
      MaxResults: 5,
      ...(token === undefined ? {} : { NextToken: token }),
    })
    found.push(...at(xml, "reservationSet", "item", "instancesSet", "item", "instanceId").map((id) => id.text))
    token = textAt(xml, "nextToken")
  } while (token !== undefined && token !== "")
  return found
}
