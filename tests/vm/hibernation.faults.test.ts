/** All of Fractus is killed while a guest is saved, and while it is loaded: it is the same guest all along. */
import assert from "node:assert/strict"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { type Instance, StartInstancesCommand, StopInstancesCommand } from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, inGuest, killEach, startCloud, until } from "./cloud.ts"
import { launchHibernatable, untilState } from "./hibernating.ts"
import { wrongIn } from "./orphans.ts"

const rounds = 2
const longestMs = 1_500

/** What ends with a boot: kept in memory alone. */
async function bootOf(cloud: Cloud, { PublicIpAddress: address = "" }: Instance): Promise<string> {
  await until(`${address} to greet`, 120_000, () => banner(address))
  return inGuest(cloud, address, "cat /proc/sys/kernel/random/boot_id")
}

/** After a while of the work that was asked for. */
async function killAll(cloud: Cloud): Promise<number> {
  const processes = [...(await cloud.processes())].filter(([name]) => !name.startsWith("qemu"))
  const afterMs = Math.round(Math.random() * longestMs)
  await delay(afterMs)
  killEach(processes.map(([, pid]) => pid))
  await cloud.up()
  return afterMs
}

test("killed while it saves and while it loads, it is the same guest; spoilt, it boots and says so", async (t) => {
  const cloud = await startCloud(t, 5521)
  const id = await launchHibernatable(cloud, "t3.nano")
  const hibernate = new StopInstancesCommand({ InstanceIds: [id], Hibernate: true })
  const start = new StartInstancesCommand({ InstanceIds: [id] })
  const boot = await bootOf(cloud, await untilState(cloud, id, "running"))
  for (let round = 0; round < rounds; round++) {
    await cloud.client.send(hibernate)
    const savingMs = await killAll(cloud)
    const { StateReason: reason } = await untilState(cloud, id, "stopped")
    assert.equal(reason?.Code, "Client.UserInitiatedHibernate", `killed ${savingMs} ms after the stop`)
    await cloud.client.send(start)
    const loadingMs = await killAll(cloud)
    const moments = `killed ${savingMs} ms after the stop and ${loadingMs} ms after the start`
    t.diagnostic(moments)
    const running = await untilState(cloud, id, "running")
    assert.equal(running.StateReason, undefined, moments)
    assert.equal(await bootOf(cloud, running), boot, moments)
    await cloud.settled()
    assert.deepEqual(await wrongIn(cloud), [], moments)
  }
  await cloud.client.send(hibernate)
  await untilState(cloud, id, "stopped")
  const image = join(cloud.home, "host", "hibernated", id)
  const bytes = readFileSync(image)
  writeFileSync(image, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1))
  await cloud.client.send(start)
  const booted = await untilState(cloud, id, "running")
  assert.match(booted.StateReason?.Message ?? "", /^Server\.InternalError: It booted, .*not what was written/)
  assert.notEqual(await bootOf(cloud, booted), boot)
  assert.equal(existsSync(image), false)
  const { output } = await fractus(["why", id, "--home", cloud.home])
  assert.match(output, /boots without its memory: its image is not what was written/)
  assert.deepEqual(await wrongIn(cloud), [])
})
