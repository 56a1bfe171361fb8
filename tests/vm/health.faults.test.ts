/**
 * What DescribeInstanceStatus says of a real guest is what the guest does: its boot, silence, panic, and answer. And what a standard T instance
 * computes is what its credits allow.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test, type TestContext } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import {
  DescribeInstanceStatusCommand,
  ModifyInstanceCreditSpecificationCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  waitUntilInstanceStatusOk,
  waitUntilSystemStatusOk,
} from "@aws-sdk/client-ec2"
import type { Why } from "#daemon/pages/why.ts"
import type { CpuCredits } from "#host/protocol/types.ts"
import { banner, type Cloud, fractus, inGuest, startCloud, until } from "./cloud.ts"

/** From a start to a login, on a machine that has other work as well. */
const loginMs = 180_000

test("status checks and CPU credits are real", { concurrency: 3 }, async (t) => {
  const cloud = await startCloud(t, 5421)
  // At the same time, since most of it is waiting.
  await Promise.all([
    t.test("a guest is initializing, ok, impaired while it is silent, and ok again", (each) => silence(each, cloud)),
    t.test("a standard guest without credits computes at its baseline, and freely when unlimited", (each) =>
      burn(each, cloud),
    ),
    t.test("a guest that panics is impaired, its host is not, and a reboot mends it", (each) => panic(each, cloud)),
  ])
  await cloud.down()
})

async function launch(cloud: Cloud, more: Partial<RunInstancesCommandInput>): Promise<string> {
  const { Instances: made = [] } = await cloud.client.send(
    new RunInstancesCommand({ ImageId: cloud.imageId, KeyName: "test", MinCount: 1, MaxCount: 1, ...more }),
  )
  return made[0]?.InstanceId ?? ""
}

/** The address, once a login works there. */
async function login(cloud: Cloud, id: string): Promise<string> {
  return until(`${id} lets its key in`, loginMs, async () => {
    const { PublicIpAddress: address = "" } =
      (await cloud.instances()).find(({ InstanceId }) => InstanceId === id) ?? assert.fail("it is not described")
    if (address === "" || (await banner(address)) === undefined) return undefined
    const user = await inGuest(cloud, address, "id").catch(() => undefined)
    return user === undefined ? undefined : address
  })
}

/** Looked at twice a second: instance and system status, and since when the instance is impaired. */
async function statusOf(cloud: Cloud, id: string) {
  await delay(500)
  const { InstanceStatuses: [status] = [] } = await cloud.client.send(
    new DescribeInstanceStatusCommand({ InstanceIds: [id] }),
  )
  const since = status?.InstanceStatus?.Details?.[0]?.ImpairedSince
  return { words: `${status?.InstanceStatus?.Status} ${status?.SystemStatus?.Status}`, since }
}

/** What QEMU's own agent answers, by a shell, where it would: this image has none. */
const agent = `#!/bin/sh
modprobe virtio_console
cat >/run/agent <<'END'
exec 3<>/dev/vport0p1
while true; do
  read -r line <&3 || { usleep 200000; continue; }
  case $line in
    *guest-sync-delimited*) id=\${line##*:}; printf '\\377{"return": %s}\\n' "\${id%%\\}*}" >&3 ;;
    *guest-ping*) echo '{"return": {}}' >&3 ;;
  esac
done
END
setsid sh /run/agent >/dev/null 2>&1 </dev/null &
`

/** The guest shuts its interface for a while, and opens it again. Its agent goes on. */
async function silence(t: TestContext, cloud: Cloud): Promise<void> {
  const id = await launch(cloud, { InstanceType: "t3.nano", UserData: Buffer.from(agent).toString("base64") })
  const seen = new Set<string>()
  const startMs = performance.now()
  await until(`${id} is ok`, loginMs, async () => {
    const { words } = await statusOf(cloud, id)
    seen.add(words)
    return words === "ok ok" ? true : undefined
  })
  t.diagnostic(`ok ${(performance.now() - startMs) | 0} ms after the launch`)
  assert.ok(seen.has("initializing ok"), [...seen].join())
  assert.ok(![...seen].some((words) => words.includes("impaired")), [...seen].join())
  const waiter = { client: cloud.client, maxWaitTime: 5, minDelay: 1 }
  await waitUntilInstanceStatusOk(waiter, { InstanceIds: [id] })
  await waitUntilSystemStatusOk(waiter, { InstanceIds: [id] })

  const address = await login(cloud, id)
  const back = "ip link set eth0 up; ip route add $default"
  const shut = `default=$(ip route | head -n 1); sleep 1; ip link set eth0 down; sleep 85; ${back}`
  await inGuest(cloud, address, `sudo setsid sh -c '${shut}' >/dev/null 2>&1 </dev/null &`)
  const silentMs = performance.now()
  const impaired = await until("impaired", 240_000, async () => {
    const status = await statusOf(cloud, id)
    return status.words === "ok ok" ? undefined : status
  })
  const afterMs = performance.now() - silentMs
  assert.equal(impaired.words, "impaired ok")
  assert.ok(Math.abs((impaired.since?.getTime() ?? 0) - Date.now()) < 30_000)
  assert.ok(afterMs > 30_000 && afterMs < 180_000, `impaired after ${afterMs} ms`)
  const { output: why } = await fractus(["why", id, "--home", cloud.home])
  assert.match(why, /silent to ARP while its agent answers/)
  await until("ok again", 240_000, async () => ((await statusOf(cloud, id)).words === "ok ok" ? true : undefined))
  t.diagnostic(`impaired ${afterMs | 0} ms after its silence, ok ${(performance.now() - silentMs) | 0} ms after that`)
  assert.equal((await inGuest(cloud, address, "id -un")).trim(), "ec2-user", "routes and neighbour are there again")
}

/** Hundredths of a CPU that a process takes during `ms`. Only looking for a while shows that. */
async function shareOf(pid: number, ms: number): Promise<number> {
  const ticks = () => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return Number(fields[11]) + Number(fields[12])
  }
  const [before, startMs] = [ticks(), performance.now()]
  await delay(ms)
  return ((ticks() - before) * 1000) / (performance.now() - startMs)
}

async function creditsOf(cloud: Cloud, id: string) {
  const { status, output } = await fractus(["why", id, "--json", "--home", cloud.home])
  assert.equal(status, 0, output)
  const why: Why = JSON.parse(output)
  return why.host?.credits ?? assert.fail("the host tells of no credits")
}

async function panic(t: TestContext, cloud: Cloud): Promise<void> {
  const id = await launch(cloud, { InstanceType: "t3.nano" })
  const address = await login(cloud, id)
  const becomes = (words: string) =>
    until(words, 240_000, async () => ((await statusOf(cloud, id)).words === words ? true : undefined))
  await becomes("ok ok")
  const boot = "cat /proc/sys/kernel/random/boot_id"
  const first = await inGuest(cloud, address, boot)
  const startMs = performance.now()
  const crash = "echo 0 >/proc/sys/kernel/panic; sleep 1; echo c >/proc/sysrq-trigger"
  await inGuest(cloud, address, `sudo setsid sh -c '${crash}' >/dev/null 2>&1 </dev/null &`)
  await becomes("impaired ok")
  t.diagnostic(`impaired ${(performance.now() - startMs) | 0} ms after its panic`)
  await cloud.client.send(new RebootInstancesCommand({ InstanceIds: [id] }))
  await becomes("ok ok")
  assert.notEqual(await inGuest(cloud, await login(cloud, id), boot), first)
}

/** A t3.nano, that is 5 % of each of two vCPUs, computes without end: unlimited, standard with nothing earned, unlimited. */
async function burn(t: TestContext, cloud: Cloud): Promise<void> {
  const id = await launch(cloud, { InstanceType: "t3.nano" })
  const address = await login(cloud, id)
  await inGuest(cloud, address, "for n in 1 2; do setsid sh -c 'while :; do :; done' >/dev/null 2>&1 </dev/null & done")
  const pid = (await cloud.processes()).get(`qemu ${id}`) ?? 0
  const set = async (CpuCredits: "standard" | "unlimited") => {
    const InstanceCreditSpecifications = [{ InstanceId: id, CpuCredits }]
    await cloud.client.send(new ModifyInstanceCreditSpecificationCommand({ InstanceCreditSpecifications }))
    await cloud.settled()
  }
  // How much it gets of this machine depends on who else is busy; at some moment it is more than its baseline.
  const free = () =>
    until("more than the baseline", 120_000, async () => {
      const share = await shareOf(pid, 1500)
      return share > 25 ? share : undefined
    })
  const credits = (what: string, holds: (now: CpuCredits) => boolean) =>
    until(what, 180_000, async () => {
      const now = await creditsOf(cloud, id)
      return holds(now) ? now : undefined
    })
  const before = await free()
  await credits("surplus", ({ surplus }) => surplus > 0.02)
  await set("standard")
  const limited = await credits("the limit", ({ limitPercent, enforced }) => limitPercent < 15 || !enforced)
  if (!limited.enforced) return t.skip("no control group of CPU can be written here")
  assert.ok(limited.charged > 0, "what was used while unlimited is charged")
  const during = await shareOf(pid, 5_000)
  await set("unlimited")
  const after = await free()
  t.diagnostic(`unlimited ${before.toFixed(1)}, standard ${during.toFixed(1)}, unlimited ${after.toFixed(1)}`)
  assert.ok(during > 2 && during < 16, `at a baseline of 10 it takes ${during} hundredths of a CPU`)
  assert.ok((await creditsOf(cloud, id)).spent > limited.spent)
  await inGuest(cloud, address, "sudo pkill -f 'while :'; true")
}
