/** What stands over faults and what is left behind: nothing of ours on the host, nothing lost by a kill. */
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readdir, readFile } from "node:fs/promises"
import { test } from "node:test"
import { everything, group, type Lab, network, openLab, port, tcp } from "./lab.ts"
import { ip, nft, processesIn } from "./namespaces.ts"
import type { LinuxNetworkOptions } from "./open.ts"

async function inLab(body: (lab: Lab) => Promise<void>, more: Partial<LinuxNetworkOptions> = {}): Promise<void> {
  const lab = await openLab(more)
  try {
    await body(lab)
  } finally {
    await lab.close()
  }
}

const spec = network(
  1,
  [group("sg-open", [everything])],
  [port(1, ["sg-open"], { publicAddress: "198.18.0.11" }), port(2, ["sg-open"])],
)

/** Everything of the host's network that a command can show, without what counts or ages. */
async function portrait(lab: Lab): Promise<string[]> {
  const show = (...argv: string[]) => lab.exec(lab.host, ...argv)
  const ours = (await readdir("/run/netns")).filter((name) => name.startsWith(lab.prefix)).toSorted()
  return [
    ours.join(" "),
    await show("ip", "-o", "link"),
    // Version 4: the addresses of version 6 that the lab makes for itself come some time after it.
    await show("ip", "-4", "route", "show", "table", "all"),
    await show("ip", "rule"),
    await show("nft", "list", "ruleset"),
    await show("sysctl", "net.ipv4.ip_forward"),
  ]
}

test("down leaves the host as it was, also where another's firewall stood in the way", () =>
  inLab(async (lab) => {
    await nft(
      lab.host,
      "table ip filter {\n chain FORWARD {\n type filter hook forward priority filter; policy drop\n tcp dport 25 accept\n }\n}\n",
    )
    const before = await portrait(lab)
    await lab.engine.up()
    await lab.bring(spec)
    await lab.serve(lab.guest(1), 80)
    await lab.exec(lab.internet, "ip", "route", "add", "198.18.0.0/24", "via", "203.0.113.1")
    assert.equal(
      await lab.greeting(lab.internet, "198.18.0.11", 80),
      "203.0.113.9",
      "passes a forward chain that drops",
    )
    await lab.engine.up()
    assert.notDeepEqual(await portrait(lab), before)
    await lab.engine.down()
    assert.deepEqual(await portrait(lab), before)
  }))

test("a pool that the host uses is refused by name, with nothing done", () =>
  inLab(async (lab) => {
    await ip(lab.host, "route", "add", "198.18.0.128/25", "via", "203.0.113.9")
    const before = await portrait(lab)
    await assert.rejects(
      lab.engine.up(),
      /198\.18\.0\.0\/24, .* is in use on this host: route 198\.18\.0\.128\/25 via 203\.0\.113\.9 dev wan/,
    )
    assert.deepEqual(await portrait(lab), before)
  }))

test("up mends what was broken by hand", () =>
  inLab(async (lab) => {
    await lab.engine.up()
    await lab.bring(spec)
    await lab.serve(lab.guest(1), 80)
    const network = `${lab.prefix}-n1`
    for (const pid of await processesIn(network)) process.kill(pid, "SIGKILL")
    await nft(network, "delete table inet fractus\n")
    await ip(network, "route", "del", "172.31.0.11/32")
    await ip(lab.host, "link", "del", `${lab.prefix}-host`)
    assert.equal(await lab.greeting(lab.host, "198.18.0.11", 80), undefined)
    await lab.engine.up()
    assert.ok(await lab.greeting(lab.host, "198.18.0.11", 80))
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12")
    assert.equal((await processesIn(network)).length, 1, "one DHCP server")
  }))

test("another process finds the networks again, and packets pass meanwhile", () =>
  inLab(async (lab) => {
    await lab.engine.up()
    await lab.bring(spec)
    await lab.serve(lab.guest(1), 80)
    const [dhcp] = await processesIn(`${lab.prefix}-n1`)
    const again = await lab.reopen()
    assert.deepEqual(await again.list(), [{ id: "vpc-1", ports: ["eni-1", "eni-2"] }])
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12")
    await again.up()
    await again.ensureNetwork(spec)
    await again.plugPort("vpc-1", "eni-1")
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12")
    assert.deepEqual(await processesIn(`${lab.prefix}-n1`), [dhcp], "the DHCP server was kept")
    await again.removePort("vpc-1", "eni-1")
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), undefined)
  }))

test("another process removes a port by its number when no specification names it any more", () =>
  inLab(async (lab) => {
    await lab.engine.up()
    await lab.bring(spec)
    await lab.engine.ensureNetwork({ ...spec, ports: [] })
    const again = await lab.reopen()
    await again.up()
    const ours = async () =>
      (await readdir("/run/netns")).filter((name) => name.startsWith(`${lab.prefix}-g`)).toSorted()
    assert.deepEqual(await ours(), [lab.guest(1), lab.guest(2)])
    for (let round = 0; round < 2; round++) await again.removePort("vpc-1", "eni-1", 1)
    assert.deepEqual(await ours(), [lab.guest(2)])
    const links = await ip(`${lab.prefix}-n1`, "-o", "link")
    assert.ok(!links.includes(`${lab.prefix}t1`), links)
  }))

const victim = (options: object, wanted: object) => `
import { openLinuxNetwork } from ${JSON.stringify(new URL("open.ts", import.meta.url).href)}
import { systemClock } from "#lib/clock.ts"
const spec = ${JSON.stringify(wanted)}
const engine = await openLinuxNetwork({ ...${JSON.stringify(options)}, log() {}, clock: systemClock() })
process.stdout.write("go\\n")
await engine.up()
await engine.ensureNetwork(spec)
for (const port of spec.ports) { await engine.createPort(spec.id, port, 2000000); await engine.plugPort(spec.id, port.id) }
await engine.removePort(spec.id, "eni-2")
await engine.removeNetwork(spec.id)
await engine.down()`

test("killed at any moment, the next process goes on and cleans up", () =>
  inLab(async (lab) => {
    for (const delayMs of [10, 60, 120, 180, 240, 300, 400, 500]) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", victim(lab.options, spec)], {
        cwd: process.cwd(),
      })
      await once(child.stdout, "data")
      const timer = setTimeout(() => child.kill("SIGKILL"), delayMs)
      await once(child, "exit")
      clearTimeout(timer)
      const engine = await lab.reopen()
      await engine.up()
      await engine.ensureNetwork(spec)
      for (const port of spec.ports) {
        await engine.createPort("vpc-1", port, 2_000_000)
        await engine.plugPort("vpc-1", port.id)
      }
      assert.equal((await processesIn(`${lab.prefix}-n1`)).length, 1, "one DHCP server")
      await lab.exec(lab.guest(1), "ip", "link", "set", "eth0", "up")
      const before = JSON.stringify(await engine.portCounters("vpc-1", "eni-1"))
      assert.match(before, /passed/)
      if (delayMs % 4 === 0) await engine.down()
    }
  }))

async function qemuHolding(lab: Lab, tap: string): Promise<ChildProcess> {
  const argv = ["-M", "q35", "-S", "-nodefaults", "-display", "none", "-m", "64", "-accel", "tcg"]
  const card = ["-netdev", `tap,id=n,ifname=${tap},script=no,downscript=no`, "-device", "virtio-net-pci,netdev=n"]
  // On a machine without udev /dev/net/tun is root's alone: one capability opens it, the tap itself is the uid's own.
  const capabilities = ["--inh-caps", "--ambient-caps", "--bounding-set"].map((set) => `${set}=-all,+dac_override`)
  const user = ["setpriv", "--reuid=2000000", "--regid=2000000", "--clear-groups", "--no-new-privs", ...capabilities]
  const child = lab.background(lab.guest(1), ...user, "qemu-system-x86_64", ...argv, ...card, "-qmp", "stdio")
  const [greeting] = await once(child.stdout, "data", { signal: AbortSignal.timeout(60_000) })
  assert.match(String(greeting), /QMP/)
  return child
}

test("a tap moves into its network while an unprivileged QEMU holds it open, and goes away under it", () =>
  inLab(
    async (lab) => {
      await lab.engine.up()
      await lab.engine.ensureNetwork(spec)
      const handle = await lab.engine.createPort("vpc-1", spec.ports[0] ?? port(1, []), 2_000_000)
      const child = await qemuHolding(lab, handle.device)
      const [first = port(1, [])] = spec.ports
      await lab.engine.bringPort("vpc-1", first)
      assert.match(await ip(`${lab.prefix}-n1`, "link", "show", handle.device), /state DOWN/)
      assert.equal(await ip(`${lab.prefix}-n1`, "route", "show", "dev", handle.device), "", "nothing leads there yet")
      await lab.engine.plugPort("vpc-1", "eni-1")
      const device = await ip(`${lab.prefix}-n1`, "-d", "link", "show", handle.device)
      assert.match(device, /LOWER_UP/, "the carrier says that somebody holds it")
      assert.match(device, /mtu 9001/)
      const descriptors = await readdir(`/proc/${child.pid}/fdinfo`)
      const infos = await Promise.all(
        descriptors.map((fd) => readFile(`/proc/${child.pid}/fdinfo/${fd}`, "utf8").catch(() => "")),
      )
      assert.ok(
        infos.some((info) => info.includes(`iff:\t${handle.device}`)),
        "QEMU's descriptor is this device's",
      )
      await lab.engine.removePort("vpc-1", "eni-1")
      await assert.rejects(ip(`${lab.prefix}-n1`, "link", "show", handle.device))
      assert.equal(child.exitCode, null, "QEMU goes on")
    },
    { portKind: "tap" },
  ))

test("a tap that waits in a network is down there, becomes a port's by its name alone, and goes with whoever knew of it", () =>
  inLab(
    async (lab) => {
      const [inside, waiting] = [`${lab.prefix}-n1`, `${lab.prefix}-waiting`]
      const links = async () =>
        (await ip(inside, "-br", "link")).split("\n").flatMap((line) => line.split(/[@ ]/)[0] || [])
      await lab.engine.up()
      await lab.engine.ensureNetwork(spec)
      const without = await links()
      await ip(undefined, "netns", "add", waiting)
      const places = []
      for (const device of ["one", "two", "three"]) {
        await ip(waiting, "tuntap", "add", "dev", device, "mode", "tap", "vnet_hdr")
        await ip(waiting, "link", "set", device, "up")
        places.push(await lab.engine.parkTap("vpc-1", { device, namespace: waiting }))
      }
      const [one = assert.fail(), two = assert.fail(), three = assert.fail()] = places
      assert.deepEqual(await links(), [...without, one.device, two.device, three.device])
      for (const { device } of places) assert.match(await ip(inside, "link", "show", device), /mtu 9001 .*state DOWN/)
      await assert.rejects(lab.engine.parkTap("vpc-9", { device: "none", namespace: waiting }), /no network/)
      await assert.rejects(lab.engine.parkTap("vpc-1", { device: "none", namespace: waiting }), /Cannot find device/)
      await lab.engine.bringPort("vpc-1", spec.ports[0]!, one)
      for (let round = 0; round < 2; round++) await lab.engine.dropTap(two)
      assert.deepEqual((await links()).toSorted(), [...without, `${lab.prefix}t1`, three.device].toSorted())
      await lab.engine.plugPort("vpc-1", "eni-1", one)
      assert.match(await ip(inside, "link", "show", `${lab.prefix}t1`), /<[^>]*,UP/)
      const routes = await ip(inside, "route", "show", "dev", `${lab.prefix}t1`)
      assert.match(routes, new RegExp(`^${spec.ports[0]!.address} `))
      // A look at everything leaves what waits; the next process knows nothing of it.
      await lab.engine.up()
      assert.ok((await links()).includes(three.device))
      const next = await lab.reopen()
      await next.up()
      assert.deepEqual((await links()).toSorted(), [...without, `${lab.prefix}t1`].toSorted())
      await next.close()
    },
    { portKind: "tap" },
  ))

test("a rule change is quick with many ports", async (t) =>
  inLab(async (lab) => {
    const ids = Array.from({ length: 50 }, (_, index) => `sg-${index}`)
    const ssh = [tcp(22, { cidrs: ["0.0.0.0/0"] }), tcp(80, { groups: ids.slice(0, 10) })]
    const groups = (changing: number) =>
      ids.map((id, at) => group(id, at === 7 ? [tcp(changing, { groups: ids })] : ssh))
    const ports = Array.from({ length: 500 }, (_, index) => {
      const mac = `02:00:00:00:${index >> 8}0:${(index & 255).toString(16).padStart(2, "0")}`
      return port(index + 1, [`sg-${index % 50}`], { address: `172.31.${1 + (index >> 7)}.${1 + (index & 127)}`, mac })
    })
    await lab.engine.up()
    await lab.engine.ensureNetwork(network(1, groups(1000), ports))
    const times: number[] = []
    for (let round = 0; round < 7; round++) {
      const startMs = performance.now()
      await lab.engine.ensureNetwork(network(1, groups(2000 + round), ports))
      times.push(Math.round(performance.now() - startMs))
    }
    const median = times.toSorted((a, b) => a - b)[3] ?? Infinity
    t.diagnostic(`one rule changed at 500 ports: ${times.join(", ")} ms`)
    // The machine may be busy with other tests: this catches what grows, the numbers are told above.
    assert.ok(median < 200, `${median} ms`)
  }))
