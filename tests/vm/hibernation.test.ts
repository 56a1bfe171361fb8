/** A guest of 1 GiB that counts into a file over a TCP connection to itself is hibernated, and goes on counting. */
import assert from "node:assert/strict"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import {
  type Instance,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, fractus, inGuest, killEach, startCloud, until } from "./cloud.ts"
import { launchHibernatable, untilState } from "./hibernating.ts"
import { wrongIn } from "./orphans.ts"

const find = async (cloud: Cloud, id: string): Promise<Instance> =>
  (await cloud.instances()).find((each) => each.InstanceId === id) ?? assert.fail(id)

const untilGreets = (address: string) => until(`${address} to greet`, 90_000, () => banner(address))

/** One process counts, another has a file open; between them is a connection. All that they know is in their memory. */
const count = `
  (setsid sh -c 'sleep 99999 | nc -l -p 7000 >counts' >/dev/null 2>&1 </dev/null &)
  until netstat -ltn | grep -q :7000; do usleep 50000; done
  (setsid sh -c '(n=0; while :; do n=$((n+1)); echo $n; usleep 50000; done) | nc 127.0.0.1 7000' >/dev/null 2>&1 </dev/null &)
  until [ -s counts ]; do usleep 50000; done`

/** What only a machine that never ended can say: its boot, its processes and their connection, and how far it has counted. */
const look = `
  cat /proc/sys/kernel/random/boot_id; pidof nc | tr ' ' '\\n' | sort | xargs echo
  netstat -tn | grep ':7000 .*ESTABLISHED' | awk '{print $4, $5}' | sort | xargs echo
  cut -d. -f1 /proc/uptime; date +%s; wc -l <counts`

const none = "n=$(wc -l <counts); head -n $n counts >some; seq 1 $n | cmp -s - some; echo $?"

async function seen(cloud: Cloud, address: string) {
  const [boot = "", processes = "", connection = "", uptime, time, counted] = (
    await inGuest(cloud, address, look)
  ).split("\n")
  const lagS = Math.round(Date.now() / 1000) - Number(time)
  return { same: { boot, processes, connection }, uptimeS: Number(uptime), lagS, counted: Number(counted) }
}

/** All our processes at once, as a power cut would end them; the guests live on. */
async function killAll(cloud: Cloud): Promise<void> {
  const ours = [...(await cloud.processes())].filter(([name]) => !name.startsWith("qemu"))
  killEach(ours.map(([, pid]) => pid))
  await cloud.up()
  await cloud.settled()
}

test("a hibernated guest goes on where it was, after its cloud was killed and started again", async (t) => {
  const cloud = await startCloud(t, 5520)
  const id = await launchHibernatable(cloud, "t3.micro")
  const ids = { InstanceIds: [id] }
  const { PublicIpAddress: first = "", PrivateIpAddress } = await untilState(cloud, id, "running")
  await untilGreets(first)
  await inGuest(cloud, first, count)
  const before = await seen(cloud, first)
  assert.match(before.same.connection, /127\.0\.0\.1:7000/)

  const stopMs = performance.now()
  await cloud.client.send(new StopInstancesCommand({ ...ids, Hibernate: true }))
  const stopped = await untilState(cloud, id, "stopped")
  const savedMs = Math.round(performance.now() - stopMs)
  assert.equal(stopped.StateReason?.Code, "Client.UserInitiatedHibernate")
  assert.deepEqual([stopped.PrivateIpAddress, stopped.PublicIpAddress], [PrivateIpAddress, undefined])
  const image = join(cloud.home, "host", "hibernated", id)
  const imageMiB = Math.round(statSync(image).size / 2 ** 20)
  assert.equal((await cloud.processes()).has(`qemu ${id}`), false)
  await killAll(cloud)

  const startMs = performance.now()
  await cloud.client.send(new StartInstancesCommand(ids))
  const address = await until("an address", 30_000, async () => (await find(cloud, id)).PublicIpAddress)
  await untilGreets(address)
  const resumedMs = Math.round(performance.now() - startMs)
  const after = await seen(cloud, address)
  t.diagnostic(
    `hibernated in ${savedMs} ms, ${imageMiB} MiB; StartInstances to ssh banner ${resumedMs} ms; its clock is ${after.lagS} s behind`,
  )
  assert.deepEqual(after.same, before.same)
  assert.ok(after.counted > before.counted && after.uptimeS >= before.uptimeS)
  const { State, StateReason, PrivateIpAddress: kept } = await untilState(cloud, id, "running")
  assert.deepEqual([State?.Name, StateReason, kept], ["running", undefined, PrivateIpAddress])
  assert.equal(existsSync(image), false)
  assert.equal(await inGuest(cloud, address, none), "0", "none is lost")
  assert.ok((await seen(cloud, address)).counted > after.counted, "it goes on")
  // Its lease, its names and its metadata are there, and it finds its new address.
  const asked = `sudo kill -USR1 $(cat /run/udhcpc.pid) && . /usr/lib/fractus/metadata && run=/tmp && fetch_token 5 &&
    get meta-data/instance-id /tmp/id && get meta-data/public-ipv4 /tmp/address && cat /tmp/id && cat /tmp/address`
  assert.equal(await inGuest(cloud, address, asked), `${id}\n${address}`)
  assert.deepEqual(await wrongIn(cloud), [])

  await cloud.client.send(new StopInstancesCommand({ ...ids, Hibernate: true }))
  await untilState(cloud, id, "stopped")
  await cloud.client.send(new TerminateInstancesCommand(ids))
  await untilState(cloud, id, "terminated")
  await cloud.settled()
  for (const folder of ["hibernated", "keys/hibernation"])
    assert.deepEqual(readdirSync(join(cloud.home, "host", folder)), [])
  const { output } = await fractus(["why", id, "--home", cloud.home])
  assert.match(output, /Client|hibernate|memory/)
})
