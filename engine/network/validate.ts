/**
 * What every driver refuses, before anything is done. The specs come from users in the end, and names from them become
 * parts of commands, files and rule sets: so each string is matched against what it may be, never escaped.
 */
import { addressesOf, contains, holds, parseAddress, parseCidr } from "./addresses.ts"
import type { DhcpOptions, Group, NetworkSpec, PortSpec, Rule, Subnet } from "./types.ts"

const identifier = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$/
const hostLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i
const domain = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i
const unicastMac = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i
const protocols = new Set(["tcp", "udp", "icmp", "icmpv6", "-1"])

/** Most of each in one network: beyond it a rule set would no longer load in time. Groups are a Region's 2,500 and its default one. */
export const limits = {
  ports: 4096,
  groups: 2501,
  subnets: 200,
  rulesPerGroup: 1000,
  groupsPerPort: 16,
  serversPerOption: 4,
  secondaryPerPort: 63,
}

function check(holdsTrue: boolean, what: string): asserts holdsTrue {
  if (!holdsTrue) throw new Error(`invalid network: ${what}`)
}

export function checkIdentifier(kind: string, id: string): void {
  check(identifier.test(id), `${kind} id ${JSON.stringify(id).slice(0, 80)}`)
}

const whole = (value: number, low: number, high: number) => Number.isInteger(value) && value >= low && value <= high

function unique(kind: string, values: readonly (string | number)[]): void {
  const seen = new Set<string | number>()
  for (const value of values) {
    check(!seen.has(value), `${kind} ${String(value)} twice`)
    seen.add(value)
  }
}

function checkRule(rule: Rule): void {
  check(
    protocols.has(rule.protocol) || (/^[0-9]{1,3}$/.test(rule.protocol) && Number(rule.protocol) <= 255),
    "protocol",
  )
  const icmp = rule.protocol.startsWith("icmp") || rule.protocol === "1" || rule.protocol === "58"
  const top = icmp ? 255 : 65535
  for (const port of [rule.fromPort, rule.toPort]) check(port === undefined || whole(port, -1, top), `port ${port}`)
  const { fromPort = 0, toPort = top } = rule
  check(icmp || toPort === -1 || fromPort <= toPort, `ports ${fromPort}-${toPort}`)
  for (const cidr of rule.cidrs) parseCidr(cidr, true)
  for (const group of rule.groups) checkIdentifier("group", group)
}

function checkGroup(group: Group): void {
  checkIdentifier("group", group.id)
  check(group.ingress.length + group.egress.length <= limits.rulesPerGroup, `too many rules in ${group.id}`)
  for (const rule of [...group.ingress, ...group.egress]) checkRule(rule)
}

/** One port by itself; `subnet` is the one it names. Throws on anything wrong. */
export function checkPort(port: PortSpec, subnet: Subnet | undefined): void {
  checkIdentifier("port", port.id)
  check(whole(port.number, 1, 4194303), `port number ${port.number}`)
  check(unicastMac.test(port.mac), `MAC ${JSON.stringify(port.mac).slice(0, 40)}`)
  for (const name of [port.hostName, ...(port.names ?? [])])
    check(hostLabel.test(name), `host name ${JSON.stringify(name).slice(0, 80)}`)
  check(port.groups.length <= limits.groupsPerPort, `too many groups on ${port.id}`)
  unique("group", port.groups)
  for (const group of port.groups) checkIdentifier("group", group)
  check((port.secondary?.length ?? 0) <= limits.secondaryPerPort, `too many addresses on ${port.id}`)
  check(subnet !== undefined, `port ${port.id} names no subnet of its network`)
  for (const { address, publicAddress } of addressesOf(port)) {
    if (publicAddress !== undefined) parseAddress(publicAddress)
    check(holds(parseCidr(subnet.cidr), parseAddress(address)), `${address} is not in subnet ${subnet.cidr}`)
    check(address !== subnet.gateway, `${address} is the router's`)
  }
}

function checkDhcp(dhcp: DhcpOptions): void {
  for (const name of dhcp.domainNames) check(name.length <= 253 && domain.test(name), "domain name")
  for (const server of dhcp.nameServers) if (server !== "resolver") parseAddress(server)
  for (const server of [...dhcp.ntpServers, ...dhcp.netbiosNameServers]) parseAddress(server)
  // All of an option's text is in one message.
  check(dhcp.domainNames.join(" ").length <= 255, "domain names")
  for (const servers of [dhcp.nameServers, dhcp.ntpServers, dhcp.netbiosNameServers])
    check(servers.length <= limits.serversPerOption, "too many servers")
  const { netbiosNodeType: type } = dhcp
  check(type === undefined || [1, 2, 4, 8].includes(type), `NetBIOS node type ${type}`)
}

/** The whole spec. Throws an Error saying what is wrong; then nothing has been done. */
export function checkNetwork(spec: NetworkSpec): void {
  checkIdentifier("network", spec.id)
  check(whole(spec.number, 1, 4095), `network number ${spec.number}`)
  check(spec.domainName.length <= 253 && domain.test(spec.domainName), "domain name")
  if (spec.dhcp !== undefined) checkDhcp(spec.dhcp)
  const range = parseCidr(spec.cidr)
  check(range.prefixLength >= 8 && range.prefixLength <= 28, `CIDR ${spec.cidr}`)
  check(!holds(range, parseAddress("169.254.169.254")) && !holds(range, parseAddress("127.0.0.1")), `CIDR ${spec.cidr}`)
  check(spec.ports.length <= limits.ports, "too many ports")
  check(spec.groups.length <= limits.groups, "too many groups")
  check(spec.subnets.length <= limits.subnets, "too many subnets")
  const subnets = new Map(spec.subnets.map((subnet) => [subnet.id, subnet]))
  unique(
    "subnet",
    spec.subnets.map(({ id }) => id),
  )
  for (const subnet of spec.subnets) {
    checkIdentifier("subnet", subnet.id)
    check(contains(range, parseCidr(subnet.cidr)), `subnet ${subnet.cidr} is not in ${spec.cidr}`)
    check(holds(parseCidr(subnet.cidr), parseAddress(subnet.gateway)), `gateway ${subnet.gateway}`)
  }
  unique(
    "group",
    spec.groups.map(({ id }) => id),
  )
  for (const group of spec.groups) checkGroup(group)
  for (const port of spec.ports) checkPort(port, subnets.get(port.subnet))
  unique(
    "port",
    spec.ports.map(({ id }) => id),
  )
  unique(
    "port number",
    spec.ports.map(({ number }) => number),
  )
  unique(
    "address",
    spec.ports.flatMap(addressesOf).map(({ address }) => address),
  )
  unique(
    "MAC",
    spec.ports.map(({ mac }) => mac.toLowerCase()),
  )
  unique(
    "public address",
    spec.ports.flatMap(addressesOf).flatMap(({ publicAddress }) => publicAddress ?? []),
  )
}

/** The spec beside the home's other networks and its public pool. Throws like `checkNetwork`. */
export function checkAgainst(spec: NetworkSpec, others: readonly NetworkSpec[], publicCidr: string): void {
  const pool = parseCidr(publicCidr)
  for (const port of spec.ports)
    for (const { publicAddress } of addressesOf(port)) {
      const inside = publicAddress === undefined || holds(pool, parseAddress(publicAddress))
      check(inside, `${port.id}: ${publicAddress} is not in the pool ${publicCidr}`)
    }
  for (const other of others) {
    if (other.id === spec.id) check(other.number === spec.number, `${spec.id} has number ${other.number}`)
    else check(other.number !== spec.number, `number ${spec.number} is ${other.id}'s`)
  }
}
