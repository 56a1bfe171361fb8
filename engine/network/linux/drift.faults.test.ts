/** What an admin, a clean-up or a kill takes away is there again with the next look; DHCP within seconds, by itself. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdir, rm } from "node:fs/promises"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { everything, group, type Lab, network, openLab, port } from "./lab.ts"
import { deleteNamespace, inside, ip, ipBatch, ipJson, namespaces, processesIn } from "./namespaces.ts"
import { run } from "./command.ts"

const spec = network(
  1,
  [group("sg-open", [everything])],
  [port(1, ["sg-open"], { publicAddress: "198.18.0.11" }), port(2, ["sg-open"])],
)

async function inLab(body: (lab: Lab) => Promise<void>, before?: Parameters<typeof openLab>[1]): Promise<void> {
  const lab = await openLab({}, before)
  try {
    await lab.engine.up()
    await lab.bring(spec)
    await lab.serve(lab.guest(1), 80)
    await works(lab)
    await body(lab)
  } finally {
    await lab.engine.close()
    await lab.close()
  }
}

async function works(lab: Lab): Promise<void> {
  assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12", "neighbours meet")
  assert.ok(await lab.greeting(lab.host, "198.18.0.11", 80), "reached from the host")
}

const dhcpOf = async (lab: Lab) => {
  const found: number[] = []
  for (const pid of await processesIn(`${lab.prefix}-n1`)) {
    const name = await run(["cat", `/proc/${pid}/comm`]).catch(() => "")
    if (name.trim() === "dnsmasq") found.push(pid)
  }
  return found
}

/** Look again until it holds. */
async function soon(what: string, holds: () => Promise<boolean>, deadlineMs = 30_000): Promise<number> {
  const startMs = performance.now()
  while (!(await holds())) {
    assert.ok(performance.now() - startMs < deadlineMs, what)
    await delay(50)
  }
  return Math.round(performance.now() - startMs)
}

test("a killed DHCP server is there again within seconds, nobody asking, also one that was adopted", (t) =>
  inLab(async (lab) => {
    const killed = async () => {
      const [first = 0] = await dhcpOf(lab)
      process.kill(first, "SIGKILL")
      const tookMs = await soon("another DHCP server", async () => {
        const now = await dhcpOf(lab)
        return now.length === 1 && now[0] !== first
      })
      t.diagnostic(`back after ${tookMs} ms`)
      await lab.exec(
        lab.guest(2),
        "busybox",
        "udhcpc",
        "-i",
        "eth0",
        "-n",
        "-q",
        "-t",
        "5",
        "-T",
        "1",
        "-s",
        "/bin/true",
      )
    }
    await killed()
    await lab.engine.close()
    const again = await lab.reopen()
    await again.up()
    await killed()
    await again.close()
  }))

for (const [what, where] of [
  ["the network's", "n1"],
  ["the infrastructure's", "infra"],
  ["the host's", "host"],
] as const) {
  test(`${what} rules flushed: back with the next look`, () =>
    inLab(async (lab) => {
      await lab.exec(`${lab.prefix}-${where}`, "nft", "flush", "ruleset")
      await lab.engine.up()
      await works(lab)
      const shown = await lab.exec(`${lab.prefix}-${where}`, "nft", "list", "ruleset")
      assert.match(shown, where === "host" ? /guests do not reach the host/ : /policy drop/)
      if (where === "n1") assert.match(shown, /fractus-guard/)
    }))
}

test("one rule taken out of a table that counts: back with the next look; else the counts stay", () =>
  inLab(async (lab) => {
    const guard = () => lab.exec(`${lab.prefix}-n1`, "nft", "list", "table", "inet", "fractus-guard")
    const passed = async () => (await lab.engine.portCounters("vpc-1", "eni-1")).passed
    const before = await passed()
    assert.ok(before > 0)
    await lab.engine.up()
    assert.ok((await passed()) >= before, "a look forgets nothing")
    await lab.exec(`${lab.prefix}-n1`, "nft", "flush", "chain", "inet", "fractus-guard", "limits")
    await lab.engine.up()
    assert.match(await guard(), /ct count over 20000/)
  }))

test("a network's namespace deleted with all in it: there again, and its ports when they are asked for", () =>
  inLab(async (lab) => {
    for (const pid of await processesIn(`${lab.prefix}-n1`)) process.kill(pid, "SIGKILL")
    await deleteNamespace(`${lab.prefix}-n1`)
    await lab.engine.up()
    await bringAgain(lab)
    await works(lab)
    assert.equal((await dhcpOf(lab)).length, 1)
  }))

test("a tap deleted: made and plugged again when it is asked for", () =>
  inLab(async (lab) => {
    await ip(`${lab.prefix}-n1`, "link", "del", `${lab.prefix}t1`)
    await lab.engine.up()
    await bringAgain(lab)
    await works(lab)
  }))

/** As the host does for a guest that starts again; the guest's end of the new port has no address yet. */
async function bringAgain(lab: Lab): Promise<void> {
  await lab.bring(spec)
  await lab.exec(lab.guest(1), "ip", "link", "set", "lo", "up")
}

test("/run wiped under a running home: networks and infrastructure keep their processes and get their names back", () =>
  inLab(async (lab) => {
    const dhcp = await dhcpOf(lab)
    lab.background(`${lab.prefix}-infra`, "sleep", "600")
    for (const name of await namespaces(`${lab.prefix}-`)) {
      if (!/-(n1|infra)$/.test(name)) continue
      await run(["umount", `/run/netns/${name}`])
      await rm(`/run/netns/${name}`)
    }
    await rm(lab.options.runDirectory, { recursive: true })
    await lab.engine.up()
    await works(lab)
    assert.equal((await dhcpOf(lab)).length, 1)
    assert.ok(dhcp.length === 1)
    assert.deepEqual(await readdir(lab.options.runDirectory).then((names) => names.toSorted()), [
      "ip_forward",
      "networks",
    ])
    await lab.engine.down()
    assert.equal(
      (await lab.exec(lab.host, "sysctl", "-n", "net.ipv4.ip_forward")).trim(),
      "0",
      "what was there before us",
    )
  }))

test("the infrastructure's namespace deleted: there again, and every network joined to it", () =>
  inLab(async (lab) => {
    await deleteNamespace(`${lab.prefix}-infra`)
    await lab.engine.up()
    await works(lab)
    await ipBatch(`${lab.prefix}-infra`, ["link show n1"])
    await run([...inside(`${lab.prefix}-infra`), "nft", "list", "table", "inet", "fractus"])
  }))

/** So a container that shares the machine's processes but not its network sees those of a home of the machine. */
test("processes in a namespace of the same name but of another host: not taken for ours", async () => {
  const name = `t${process.pid.toString(36)}x-theirs`
  await ip(undefined, "netns", "add", name)
  const stranger = spawn("nsenter", [`--net=/run/netns/${name}`, "sleep", "60"], { stdio: "ignore" })
  const before = ({ host }: { host: string }) =>
    ip(name, "link", "set", "lo", "alias", `${host.replace(/-host$/, "-infra")} of net:[1]`)
  try {
    await once(stranger, "spawn")
    await inLab(async () => {
      const links = await ipJson(name, "link", "show")
      assert.equal(links.length, 1, JSON.stringify(links))
    }, before)
  } finally {
    stranger.kill("SIGKILL")
    await deleteNamespace(name)
  }
})

/** dnsmasq processes with their configuration below this folder, in whatever namespace, also half started ones. */
async function serversBelow(directory: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => run(["cat", `/proc/${pid}/cmdline`]).catch(() => "")))
  return lines.filter((line) => line.includes(`--conf-file=${directory}/`)).length
}

test("no DHCP server outlives its network, also one that is just being started", () =>
  inLab(async (lab) => {
    for (const pauseMs of [5, 10, 15, 20, 25, 30, 40, 50]) {
      await lab.engine.ensureNetwork(spec)
      // Another domain name takes another server: it is started while everything is taken down.
      const starting = lab.engine.ensureNetwork({ ...spec, domainName: `after-${pauseMs}.internal` })
      await delay(pauseMs)
      await Promise.allSettled([starting, lab.engine.down()])
      await soon("no server is left", async () => (await serversBelow(lab.options.runDirectory)) === 0)
      await lab.engine.up()
    }
  }))
