/**
 * For tests: a machine of namespaces. One plays the host, one the internet beyond it; ports are veths whose other end is
 * eth0 in the guest's namespace. Nothing of the machine under test is touched but namespaces whose names start so.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable, Writable } from "node:stream"
import { systemClock } from "#lib/clock.ts"
import type { Group, NetworkEngine, NetworkSpec, PortSpec, Rule } from "../types.ts"
import { run } from "./command.ts"
import { deleteNamespace, inside, ip, ipBatch, namespaces, sysctl } from "./namespaces.ts"
import { type LinuxNetworkOptions, openLinuxNetwork } from "./open.ts"

export const publicCidr = "198.18.0.0/24"
/** An address beyond the host. */
export const internetAddress = "203.0.113.9"
export const everything: Rule = { protocol: "-1", cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] }
export const tcp = (port: number, from: Partial<Rule>): Rule => ({
  protocol: "tcp",
  fromPort: port,
  toPort: port,
  cidrs: [],
  cidrs6: [],
  groups: [],
  ...from,
})
export const group = (id: string, ingress: readonly Rule[], egress: readonly Rule[] = [everything]): Group => ({
  id,
  ingress,
  egress,
})

export function port(number: number, groups: readonly string[], more: Partial<PortSpec> = {}): PortSpec {
  const host = 10 + (number % 100)
  return {
    id: `eni-${number}`,
    number,
    subnet: "subnet-a",
    mac: `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`,
    address: `172.31.0.${host}`,
    hostName: `ip-172-31-0-${host}`,
    groups,
    checkSource: true,
    ...more,
  }
}

export function network(
  number: number,
  groups: readonly Group[],
  ports: readonly PortSpec[],
  internet = true,
): NetworkSpec {
  const subnet = { id: "subnet-a", cidr: "172.31.0.0/20", gateway: "172.31.0.1", internet }
  return {
    id: `vpc-${number}`,
    number,
    cidr: "172.31.0.0/16",
    subnets: [subnet],
    groups,
    ports,
    domainName: "ec2.internal",
  }
}

export interface Lab {
  readonly engine: NetworkEngine
  readonly prefix: string
  readonly host: string
  readonly internet: string
  /** Scratch, removed with the lab. */
  readonly directory: string
  readonly guest: (portNumber: number) => string
  readonly options: LinuxNetworkOptions
  /** A new engine over the same state, as after a crash. */
  reopen(more?: Partial<LinuxNetworkOptions>): Promise<NetworkEngine>
  /** Ensure, create and plug every port; guests get address and route by hand. */
  bring(spec: NetworkSpec): Promise<void>
  /** Run in a namespace; throws when the program fails. */
  exec(namespace: string, ...argv: string[]): Promise<string>
  /** A child that lives until the lab closes. */
  background(namespace: string, ...argv: string[]): ChildProcessByStdio<Writable, Readable, null>
  /** A TCP server that greets with the caller's address and echoes; resolves once it listens. */
  serve(namespace: string, tcpPort: number, address?: string): Promise<void>
  /** What the server at `address` greets with: how it sees the caller. Undefined when nothing comes within a second. */
  greeting(namespace: string, address: string, tcpPort: number): Promise<string | undefined>
  close(): Promise<void>
}

const server = `const [, address, port] = process.argv
require("node:net").createServer((socket) => {
  socket.on("error", () => {}).write(socket.remoteAddress + "\\n")
  socket.pipe(socket)
}).listen(Number(port), address, () => console.log("listening"))`

let count = 0

type Before = (place: { readonly host: string; readonly internet: string }) => Promise<unknown>

/** Build a lab. `before` sees the host before an engine does. `close` removes every namespace and process of it. */
export async function openLab(more: Partial<LinuxNetworkOptions> = {}, before?: Before): Promise<Lab> {
  const prefix = `t${(process.pid % 1296).toString(36).padStart(2, "0")}${(count++).toString(36)}`
  const [host, internet] = [`${prefix}-host`, `${prefix}-world`]
  const directory = await mkdtemp(join(tmpdir(), "fractus-network-"))
  await run(["chmod", "755", directory])
  await ip(undefined, "netns", "add", host)
  await ip(undefined, "netns", "add", internet)
  await ip(host, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", internet)
  await ipBatch(host, ["link set lo up", "addr add 203.0.113.1/24 dev wan", "link set wan up"])
  await ipBatch(internet, ["link set lo up", `addr add ${internetAddress}/24 dev wan`, "link set wan up"])
  await sysctl(host, { "net.ipv4.ip_forward": 0 })
  const options: LinuxNetworkOptions = {
    prefix,
    slot: 0,
    publicCidr,
    runDirectory: join(directory, "run"),
    stateDirectory: join(directory, "state"),
    uids: { dhcp: 1_999_001 },
    log: () => {},
    clock: systemClock(),
    portKind: "veth",
    hostNamespace: host,
    ...more,
  }
  await before?.({ host, internet })
  const engine = await openLinuxNetwork(options)
  const children = new Set<ChildProcess>()
  const lab: Lab = {
    engine,
    prefix,
    host,
    internet,
    directory,
    options,
    guest: (portNumber) => `${prefix}-g${portNumber}`,
    reopen: (changes) => openLinuxNetwork({ ...options, ...changes }),
    exec: (namespace, ...argv) => run([...inside(namespace), ...argv], { deadlineMs: 15_000 }),
    background(namespace, ...argv) {
      const [program = "", ...args] = [...inside(namespace), ...argv]
      const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] })
      child.on("error", () => {})
      children.add(child)
      return child
    },
    async bring(spec) {
      await engine.ensureNetwork(spec)
      for (const port of spec.ports) {
        const { id, number, address } = port
        await engine.createPort(spec.id, port, 2_000_000)
        await engine.plugPort(spec.id, id)
        await ipBatch(lab.guest(number), [
          `addr replace ${address}/20 dev eth0`,
          "link set eth0 up",
          "route replace default via 172.31.0.1",
        ])
      }
    },
    async serve(namespace, tcpPort, address = "0.0.0.0") {
      const child = lab.background(namespace, process.execPath, "-e", server, address, String(tcpPort))
      await once(child.stdout, "data")
    },
    async greeting(namespace, address, tcpPort) {
      const text = await lab.exec(namespace, "busybox", "nc", "-w", "1", address, String(tcpPort)).catch(() => "")
      return text.split("\n")[0] || undefined
    },
    async close() {
      for (const child of children) child.kill("SIGKILL")
      await engine.down().catch(() => {})
      for (const name of await namespaces(`${prefix}-`)) {
        for (const pid of (await ip(undefined, "netns", "pids", name)).split("\n").filter(Boolean))
          process.kill(Number(pid), "SIGKILL")
        await deleteNamespace(name)
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
  return lab
}
