/** What guests can send and receive, shown by packets: namespaces play guests, host and internet. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { everything, group, internetAddress, type Lab, network, openLab, port, tcp } from "./lab.ts"

async function inLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openLab()
  try {
    await lab.engine.up()
    await body(lab)
  } finally {
    await lab.close()
  }
}

const anyone = { cidrs: ["0.0.0.0/0"] }
const serverAndClient = (rules: Parameters<typeof group>[1]) => [group("sg-server", rules), group("sg-client", [])]
const threePorts = (checkSource: boolean) => [
  port(1, ["sg-open"]),
  port(2, ["sg-open"], { checkSource }),
  port(3, ["sg-open"]),
]

test("nothing reaches a port until a group says so, then only what it says, from whom it says", () =>
  inLab(async (lab) => {
    const ports = [port(1, ["sg-server"]), port(2, ["sg-client"]), port(3, [])]
    const client = group("sg-client", [])
    await lab.bring(network(1, [group("sg-server", []), client], ports))
    await lab.serve(lab.guest(1), 80)
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), undefined)
    const byGroup = [group("sg-server", [tcp(80, { groups: ["sg-client"] })]), client]
    await lab.engine.ensureNetwork(network(1, byGroup, ports))
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12")
    assert.equal(await lab.greeting(lab.guest(3), "172.31.0.11", 80), undefined)
    await lab.serve(lab.guest(1), 81)
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 81), undefined)
    const noEgress = [group("sg-server", [tcp(80, anyone)]), group("sg-client", [], [tcp(443, anyone)])]
    await lab.engine.ensureNetwork(network(1, noEgress, ports))
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), undefined)
    const counters = await lab.engine.portCounters("vpc-1", "eni-2")
    assert.ok(counters.passed > 0 && counters.dropped > 0, JSON.stringify(counters))
  }))

test("a revoked rule stops new connections and keeps the open one", () =>
  inLab(async (lab) => {
    const ports = [port(1, ["sg-server"]), port(2, ["sg-client"])]
    await lab.bring(network(1, serverAndClient([tcp(80, anyone)]), ports))
    await lab.serve(lab.guest(1), 80)
    const open = lab.background(lab.guest(2), "busybox", "nc", "172.31.0.11", "80")
    await once(open.stdout, "data")
    await lab.engine.ensureNetwork(network(1, serverAndClient([]), ports))
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), undefined)
    open.stdin.write("still here\n")
    const [echo] = await once(open.stdout, "data", { signal: AbortSignal.timeout(30_000) })
    assert.equal(String(echo), "still here\n")
  }))

test("a port sends only from its own address and card, unless it may", () =>
  inLab(async (lab) => {
    const groups = [group("sg-open", [everything])]
    await lab.bring(network(1, groups, threePorts(true)))
    await lab.serve(lab.guest(1), 80)
    await lab.exec(lab.guest(2), "ip", "addr", "add", "172.31.0.77/32", "dev", "eth0")
    // The router does not answer to ARP from a foreign address: the forger knows its card from before.
    await lab.exec(lab.guest(2), "busybox", "ping", "-c1", "-W1", "172.31.0.11")
    const forge = () => lab.exec(lab.guest(2), "busybox", "ping", "-c1", "-W1", "-I", "172.31.0.77", "172.31.0.11")
    await assert.rejects(forge())
    const dropped = (await lab.engine.portCounters("vpc-1", "eni-2")).dropped
    assert.equal(dropped, 1)
    await lab.engine.ensureNetwork(network(1, groups, threePorts(false)))
    await assert.rejects(forge(), "no answer comes back, but the packet went")
    assert.equal((await lab.engine.portCounters("vpc-1", "eni-2")).dropped, dropped)
    await lab.exec(lab.guest(3), "ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
    assert.equal(await lab.greeting(lab.guest(3), "172.31.0.11", 80), undefined)
  }))

test("networks with the same addresses do not see each other", () =>
  inLab(async (lab) => {
    const groups = [group("sg-open", [everything])]
    const address = { publicAddress: "198.18.0.11" }
    await lab.bring(network(1, groups, [port(1, ["sg-open"], address), port(2, ["sg-open"])]))
    const other = port(101, ["sg-open"], { address: "172.31.0.50", publicAddress: "198.18.0.50" })
    await lab.bring({ ...network(2, groups, [other, port(102, ["sg-open"])]) })
    await lab.serve(lab.guest(1), 80)
    assert.equal(await lab.greeting(lab.guest(2), "172.31.0.11", 80), "172.31.0.12")
    assert.equal(await lab.greeting(lab.guest(101), "172.31.0.11", 80), undefined)
    assert.equal(await lab.greeting(lab.guest(101), "198.18.0.11", 80), "198.18.0.50", "by public addresses they do")
  }))

test("a public address is reached from host and world, by neighbours under their own, and reaches the world", () =>
  inLab(async (lab) => {
    const groups = [group("sg-web", [tcp(80, anyone)])]
    const ports = [
      port(1, ["sg-web"], { publicAddress: "198.18.0.11" }),
      port(2, ["sg-web"], { publicAddress: "198.18.0.12" }),
      port(3, ["sg-web"]),
    ]
    await lab.bring(network(1, groups, ports))
    await lab.serve(lab.guest(1), 80)
    await lab.serve(lab.internet, 8080)
    await lab.exec(lab.internet, "ip", "route", "add", "198.18.0.0/24", "via", "203.0.113.1")
    assert.ok(await lab.greeting(lab.host, "198.18.0.11", 80))
    assert.equal(await lab.greeting(lab.internet, "198.18.0.11", 80), internetAddress)
    assert.equal(await lab.greeting(lab.guest(2), "198.18.0.11", 80), "198.18.0.12")
    assert.equal(await lab.greeting(lab.guest(1), internetAddress, 8080), "203.0.113.1", "masqueraded by the host")
    assert.equal(await lab.greeting(lab.guest(3), internetAddress, 8080), undefined, "no public address")
    assert.equal(await lab.greeting(lab.guest(3), "198.18.0.11", 80), undefined)
    await lab.engine.ensureNetwork(network(1, groups, ports, false))
    assert.equal(await lab.greeting(lab.guest(1), internetAddress, 8080), undefined, "no route to the internet")
    assert.equal(await lab.greeting(lab.host, "198.18.0.11", 80), undefined)
  }))

test("an address that is taken away takes its open connections with it", () =>
  inLab(async (lab) => {
    const groups = [group("sg-web", [])]
    await lab.bring(network(1, groups, [port(1, ["sg-web"], { publicAddress: "198.18.0.11" })]))
    await lab.serve(lab.internet, 8080)
    const open = lab.background(lab.guest(1), "busybox", "nc", internetAddress, "8080")
    await once(open.stdout, "data")
    await lab.engine.ensureNetwork(network(1, groups, [port(1, ["sg-web"])]))
    open.stdin.write("anyone?\n")
    await assert.rejects(once(open.stdout, "data", { signal: AbortSignal.timeout(700) }), { name: "AbortError" })
  }))

test("the host is out of reach: its addresses, its link, the infrastructure beside metadata and names", () =>
  inLab(async (lab) => {
    await lab.bring(
      network(1, [group("sg-open", [everything])], [port(1, ["sg-open"], { publicAddress: "198.18.0.11" })]),
    )
    await lab.serve(lab.host, 4566)
    await lab.serve(`${lab.prefix}-infra`, 4567)
    for (const address of ["203.0.113.1", "198.19.255.1"]) {
      assert.ok(await lab.greeting(lab.host, address, 4566), "it listens")
      assert.equal(await lab.greeting(lab.guest(1), address, 4566), undefined, address)
    }
    for (const address of ["198.19.255.2", "169.254.169.254", "169.254.169.253", "169.254.254.1"]) {
      assert.equal(await lab.greeting(lab.guest(1), address, 4567), undefined, address)
    }
    const ports = ["169.254.254.2", "172.31.0.1"].map((address) => lab.greeting(lab.guest(1), address, 4566))
    assert.deepEqual(await Promise.all(ports), [undefined, undefined])
  }))

test("metadata and names know a port by its infrastructure address, whatever its groups and addresses", () =>
  inLab(async (lab) => {
    const ports = [port(1, []), port(70_000, [], { address: "172.31.0.99", mac: "02:00:00:00:aa:01" })]
    await lab.bring(network(1, [], ports, false))
    const infrastructure = `${lab.prefix}-infra`
    await lab.serve(infrastructure, 80, "169.254.169.254")
    await lab.serve(infrastructure, 53, "169.254.169.253")
    assert.equal(await lab.greeting(lab.guest(1), "169.254.169.254", 80), "100.64.0.1")
    assert.equal(await lab.greeting(lab.guest(70_000), "169.254.169.254", 80), "100.65.17.112")
    assert.equal(await lab.greeting(lab.guest(1), "169.254.169.253", 53), "100.64.0.1")
    assert.equal(await lab.greeting(lab.guest(1), "172.31.0.2", 53), "100.64.0.1", "the VPC's second address")
    assert.equal(await lab.greeting(lab.guest(1), "169.254.169.254", 53), undefined)
  }))

test("DHCP gives every port its own lease, also to those that come later", () =>
  inLab(async (lab) => {
    const spec = network(1, [], [port(1, [])])
    await lab.bring(spec)
    const later = network(1, [], [...spec.ports, port(2, [])])
    await lab.engine.ensureNetwork(later)
    await lab.engine.createPort("vpc-1", port(2, []), 2_000_000)
    await lab.engine.plugPort("vpc-1", "eni-2")
    await lab.exec(lab.guest(2), "ip", "link", "set", "eth0", "up")
    const script = join(lab.directory, "lease")
    await writeFile(script, "#!/bin/sh\nexec env\n", { mode: 0o755 })
    for (const number of [2, 1]) {
      const lease = await lab.exec(
        lab.guest(number),
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
        "-O",
        "mtu",
        "-s",
        script,
      )
      const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(lease)?.[1]
      assert.deepEqual(["ip", "mask", "router", "dns", "domain", "hostname", "mtu"].map(value), [
        `172.31.0.1${number}`,
        "20",
        "172.31.0.1",
        "172.31.0.2",
        "ec2.internal",
        `ip-172-31-0-1${number}`,
        "9001",
      ])
    }
  }))

test("the next lease tells other options, as far as they are said", () =>
  inLab(async (lab) => {
    const spec = network(1, [], [port(1, [])])
    await lab.engine.ensureNetwork(spec)
    await lab.engine.createPort("vpc-1", port(1, []), 2_000_000)
    await lab.engine.plugPort("vpc-1", "eni-1")
    await lab.exec(lab.guest(1), "ip", "link", "set", "eth0", "up")
    const script = join(lab.directory, "lease")
    await writeFile(script, "#!/bin/sh\nexec env\n", { mode: 0o755 })
    const names = ["dns", "domain", "ntpsrv", "wins", "opt46"]
    const told = async () => {
      const options = ["-i", "eth0", "-n", "-q", "-t", "20", "-T", "1", "-O", "ntpsrv", "-O", "wins", "-O", "46", "-s"]
      const lease = await lab.exec(lab.guest(1), "busybox", "udhcpc", ...options, script)
      assert.match(lease, /^router=172\.31\.0\.1$/m)
      const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(lease)?.[1]
      return names.map(value)
    }
    const none = undefined
    assert.deepEqual(await told(), ["172.31.0.2", "ec2.internal", none, none, none])
    const dhcp = {
      domainNames: ["a.example"],
      nameServers: ["192.0.2.53", "resolver"],
      ntpServers: ["192.0.2.123", "192.0.2.124"],
      netbiosNameServers: ["192.0.2.137"],
      netbiosNodeType: 8,
    }
    await lab.engine.ensureNetwork({ ...spec, dhcp })
    const servers = ["192.0.2.53 172.31.0.2", "a.example", "192.0.2.123 192.0.2.124", "192.0.2.137"]
    assert.deepEqual(await told(), [...servers, "08"])
    const nothing = { domainNames: [], nameServers: [], ntpServers: [], netbiosNameServers: [] }
    await lab.engine.ensureNetwork({ ...spec, dhcp: nothing })
    assert.deepEqual(await told(), [none, none, none, none, none])
  }))

test("a port's further addresses are its own, until they are taken away", () =>
  inLab(async (lab) => {
    const groups = serverAndClient([{ ...everything, protocol: "icmp", cidrs: [], groups: ["sg-client"] }])
    const second = { address: "172.31.0.66", publicAddress: "198.18.0.66" }
    const ports = (...secondary: (typeof second)[]) => [
      port(1, ["sg-server"]),
      port(2, ["sg-client"], { secondary }),
      port(3, ["sg-client"]),
    ]
    await lab.bring(network(1, groups, ports()))
    for (const guest of [2, 3]) await lab.exec(lab.guest(guest), "ip", "addr", "add", "172.31.0.66/32", "dev", "eth0")
    const pings = (guest: number, to: string, from = "172.31.0.66") =>
      lab.exec(lab.guest(guest), "busybox", "ping", "-c1", "-W1", "-I", from, to).then(
        () => true,
        () => false,
      )
    const reaches = async (guest: number, to: string) => {
      const end = performance.now() + 20_000
      while (!(await pings(guest, to))) assert.ok(performance.now() < end, `guest ${guest} never reached ${to}`)
    }
    assert.equal(await pings(2, "172.31.0.11"), false)
    await lab.engine.ensureNetwork(network(1, groups, ports(second)))
    // The group's members are known by all their addresses; only the further one has a public one.
    await reaches(2, "172.31.0.11")
    await reaches(2, internetAddress)
    assert.equal(await pings(2, internetAddress, "172.31.0.12"), false)
    assert.equal(await pings(3, "172.31.0.11"), false, "it is no neighbour's")
    const moved = [port(1, ["sg-server"]), port(2, ["sg-client"]), port(3, ["sg-client"], { secondary: [second] })]
    await lab.engine.ensureNetwork(network(1, groups, moved))
    await reaches(3, "172.31.0.11")
    assert.equal(await pings(2, "172.31.0.11"), false)
    await lab.engine.ensureNetwork(network(1, groups, ports()))
    assert.equal(await pings(3, "172.31.0.11"), false)
    assert.equal((await lab.exec(`${lab.prefix}-n1`, "ip", "route", "show", "172.31.0.66")).trim(), "")
  }))
