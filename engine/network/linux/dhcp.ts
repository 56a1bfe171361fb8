/**
 * DHCP of one network: a dnsmasq in its namespace, under a user of its own, that outlives us. It gives every port the one
 * address it has; leases are never written, so nothing grows. Ports come and go by SIGHUP, subnets by a new process.
 */
import { spawn } from "node:child_process"
import { readFile, readFileSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { processes } from "#lib/processes.ts"
import { formatAddress, parseCidr } from "../addresses.ts"
import type { DhcpOptions, NetworkSpec } from "../types.ts"
import { path } from "./command.ts"
import { readIfThere, replaceFile } from "./files.ts"
import { insideMtu, type Names } from "./names.ts"
import { inside, processesIn } from "./namespaces.ts"
import { resolverOf } from "./filters.ts"

const read = promisify(readFile)

/** Bridge without ports that carries the gateways' addresses: dnsmasq treats what arrives at a tap as arrived there. */
export const gatewayDevice = "gateways"

const mask = (cidr: string) => formatAddress((0xffffffff << (32 - parseCidr(cidr).prefixLength)) >>> 0)

/** What a network's clients are told: as it says, or its resolver and its domain. An option without values is not told at all. */
function dhcpOptionsOf({ dhcp, domainName }: Pick<NetworkSpec, "dhcp" | "domainName">): DhcpOptions {
  return dhcp ?? { domainNames: [domainName], nameServers: ["resolver"], ntpServers: [], netbiosNameServers: [] }
}

function optionLines(spec: NetworkSpec): string[] {
  const options = dhcpOptionsOf(spec)
  const servers = options.nameServers.map((server) => (server === "resolver" ? resolverOf(spec.cidr) : server))
  const { netbiosNodeType: nodeType } = options
  const values: readonly [string, readonly string[]][] = [
    ["dns-server", servers],
    ["domain-name", options.domainNames.length > 0 ? [options.domainNames.join(" ")] : []],
    ["ntp-server", options.ntpServers],
    ["netbios-ns", options.netbiosNameServers],
    ["netbios-nodetype", nodeType === undefined ? [] : [String(nodeType)]],
  ]
  return values.flatMap(([name, of]) => (of.length === 0 ? [] : [`dhcp-option=option:${name},${of.join(",")}`]))
}

/** dnsmasq's configuration: changes only with subnets and options. */
export function dhcpConfiguration(spec: NetworkSpec, names: Names, hostsFile: string): string {
  const subnets = spec.subnets.flatMap((subnet, index) => [
    `dhcp-range=set:s${index},${formatAddress(parseCidr(subnet.cidr).first)},static,${mask(subnet.cidr)},1h`,
    `dhcp-option=tag:s${index},option:router,${subnet.gateway}`,
  ])
  return [
    "port=0",
    "conf-file=",
    "no-ping",
    "leasefile-ro",
    "dhcp-authoritative",
    "log-facility=-",
    "quiet-dhcp",
    `bridge-interface=${gatewayDevice},${names.tapPrefix}*`,
    `dhcp-hostsfile=${hostsFile}`,
    `dhcp-lease-max=${Math.max(16, 2 * 4096)}`,
    ...optionLines(spec),
    `dhcp-option=option:mtu,${insideMtu}`,
    ...subnets,
    "",
  ].join("\n")
}

/** One line for each port: its MAC, its address, its name. */
export function dhcpHosts(spec: NetworkSpec): string {
  return spec.ports.map((port) => `${port.mac.toLowerCase()},${port.address},${port.hostName}\n`).join("")
}

/** A process, known again by when it started: a pid alone is reused. */
interface Process {
  readonly pid: number
  readonly started: string
}

function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" ? undefined : fields[19]
  } catch {
    return undefined
  }
}

const alive = (process: Process | undefined) => process !== undefined && startedAt(process.pid) === process.started

async function find(namespace: string): Promise<Process[]> {
  const found: Process[] = []
  for (const pid of await processesIn(namespace)) {
    const started = startedAt(pid)
    const name = await read(`/proc/${pid}/comm`, "utf8").catch(() => "")
    if (started !== undefined && name.trim() === "dnsmasq") found.push({ pid, started })
  }
  return found
}

const until = async (holds: () => boolean, deadlineMs: number) => {
  const end = performance.now() + deadlineMs
  while (!holds() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  return holds()
}

async function end(process: Process): Promise<void> {
  if (!alive(process)) return
  globalThis.process.kill(process.pid, "SIGKILL")
  if (!(await until(() => !alive(process), 5000))) throw new Error(`dnsmasq ${process.pid} does not end`)
}

/** Where a network's dnsmasq has its configuration: in its command line from the first moment, so it is known by it. */
const configurationIn = (directory: string) => join(directory, "dnsmasq.conf")

/** DHCP servers with their configuration below `directory`, wherever they stand: also those that are just being started. */
async function findBelow(directory: string): Promise<{ readonly process: Process; readonly configuration: string }[]> {
  const found: { process: Process; configuration: string }[] = []
  for (const { pid, words } of await processes("cmdline")) {
    const configuration = words
      .find((word) => word.startsWith(`--conf-file=${directory}/`))
      ?.slice("--conf-file=".length)
    const started = startedAt(pid)
    if (configuration !== undefined && started !== undefined) found.push({ process: { pid, started }, configuration })
  }
  return found
}

/** End the DHCP server of a network, by its directory. Also one that a process which is gone was about to start. */
export async function stopDhcp(directory: string): Promise<void> {
  for (const { process } of await findBelow(directory)) await end(process)
}

/** End the servers below `directory` whose own directory `keeps` does not want. */
export async function sweepDhcp(directory: string, keeps: (networkDirectory: string) => boolean): Promise<void> {
  for (const { process, configuration } of await findBelow(directory))
    if (!keeps(dirname(configuration))) await end(process)
}

/** The capabilities dnsmasq needs without root: its port, raw replies, neighbour entries. */
const capabilities = "+net_bind_service,+net_raw,+net_admin"

function start(namespace: string, uid: number, configuration: string): Process {
  const argv = [
    ...inside(namespace),
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
    "--no-new-privs",
    ...["--inh-caps", "--ambient-caps", "--bounding-set"].map((set) => `${set}=-all,${capabilities}`),
    "dnsmasq",
    "--keep-in-foreground",
    `--conf-file=${configuration}`,
  ]
  const [program = "", ...args] = argv
  const child = spawn(program, args, { detached: true, stdio: "ignore", cwd: "/", env: { PATH: path() } })
  child.on("error", () => {})
  child.unref()
  if (child.pid === undefined) throw new Error(`${program} could not be started`)
  const started = startedAt(child.pid)
  if (started === undefined) throw new Error("dnsmasq ended at once")
  return { pid: child.pid, started }
}

export interface Dhcp {
  /** Make DHCP answer as `spec` says. Cheap when nothing changed. */
  ensure(spec: NetworkSpec): Promise<void>
  /** True once it was made to run and then died: `ensure` starts it again. */
  readonly died: boolean
}

/** The DHCP server of the network in `namespace`; `directory` must be reachable for `uid`. */
export function dhcpOf(namespace: string, directory: string, uid: number, names: Names): Dhcp {
  const configurationFile = configurationIn(directory)
  const hostsFile = join(directory, "hosts")
  let server: Process | undefined
  let hosts: string | undefined

  const adopt = async (wanted: string) => {
    const [first, ...others] = await find(namespace)
    for (const other of others) await end(other)
    if (first === undefined) return
    if ((await readIfThere(configurationFile)) === wanted) server = first
    else await end(first)
  }
  const launch = async (wanted: string) => {
    await replaceFile(configurationFile, wanted)
    server = start(namespace, uid, configurationFile)
    // Until it has become dnsmasq a SIGHUP would end it, and a start that fails shows within moments.
    const launched = server
    const isUp = () => !alive(launched) || commandOf(launched.pid) === "dnsmasq"
    await until(isUp, 5000)
    if (!alive(launched))
      throw new Error(`dnsmasq of ${namespace} did not start: run dnsmasq --test --conf-file=${configurationFile}`)
  }
  const reload = async (wanted: string) => {
    if (wanted === hosts && (await readIfThere(hostsFile)) === wanted) return false
    await replaceFile(hostsFile, wanted)
    hosts = wanted
    return true
  }
  return {
    get died() {
      return server !== undefined && !alive(server)
    },
    async ensure(spec) {
      const wanted = dhcpConfiguration(spec, names, hostsFile)
      await mkdir(directory, { recursive: true, mode: 0o755 })
      if (server === undefined) await adopt(wanted)
      else if (!alive(server)) server = undefined
      else if ((await readIfThere(configurationFile)) !== wanted) {
        await end(server)
        server = undefined
      }
      const changed = await reload(dhcpHosts(spec))
      if (server === undefined) await launch(wanted)
      else if (changed) process.kill(server.pid, "SIGHUP")
    },
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim()
  } catch {
    return ""
  }
}
