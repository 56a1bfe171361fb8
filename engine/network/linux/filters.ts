/**
 * The rules of one network. Connections are tracked outside of them, so an open one goes on when the rule that admitted
 * it is gone, as on AWS.
 *
 * A packet's way: prerouting raw (is the source the port's own?), dstnat (public to private, resolver), forward (egress
 * rules of the sender, then ingress rules of the receiver), srcnat (private to public, or to the port's infrastructure
 * address towards metadata and DNS). Traffic to another port's public address leaves by the uplink and comes back by it,
 * so that the receiver's rules see the sender's public address, as on AWS.
 */
import { addressesOf, formatAddress, infrastructureAddress, parseCidr, withoutOverlaps } from "../addresses.ts"
import type { Group, HeldAddress, NetworkSpec, PortSpec, Rule } from "../types.ts"
import { metadataAddress, type Names, resolverAddress } from "./names.ts"
import type { Chain, NamedSet, RuleSet } from "./ruleset.ts"

export const filterTable = "inet fractus"
/** The set that counts, by port, what came from a source that is not the port's own. */
export const refused = "refused"

const members = (group: string) => `members-${group}`

const protocolNumbers: Readonly<Record<string, string>> = { "6": "tcp", "17": "udp", "1": "icmp" }

/** What a rule says of protocol and ports, or undefined where nothing can match (IPv6 is not carried yet). */
function protocolMatch(rule: Rule): string | undefined {
  const protocol = protocolNumbers[rule.protocol] ?? rule.protocol
  const { fromPort = -1, toPort = -1 } = rule
  if (protocol === "-1") return ""
  if (protocol === "icmpv6" || protocol === "58") return undefined
  if (protocol === "icmp") {
    if (fromPort === -1) return "meta l4proto icmp"
    return toPort === -1 ? `icmp type ${fromPort}` : `icmp type ${fromPort} icmp code ${toPort}`
  }
  if (protocol === "tcp" || protocol === "udp") {
    return fromPort === -1
      ? `meta l4proto ${protocol}`
      : `${protocol} dport ${fromPort}-${toPort === -1 ? 65535 : toPort}`
  }
  return `meta l4proto ${protocol}`
}

function peerMatches(rule: Rule, side: "saddr" | "daddr", known: ReadonlySet<string>): string[] {
  const matches = rule.groups.filter((group) => known.has(group)).map((group) => `ip ${side} @${members(group)}`)
  const cidrs = withoutOverlaps(rule.cidrs)
  if (cidrs.includes("0.0.0.0/0")) matches.push("")
  else if (cidrs.length > 0) matches.push(`ip ${side} { ${cidrs.join(", ")} }`)
  return matches
}

function ruleLines(
  rules: readonly Rule[],
  side: "saddr" | "daddr",
  verdict: string,
  known: ReadonlySet<string>,
): string[] {
  return rules.flatMap((rule) => {
    const protocol = protocolMatch(rule)
    if (protocol === undefined) return []
    return peerMatches(rule, side, known).map((peer) => [protocol, peer, verdict].filter(Boolean).join(" "))
  })
}

type Parts = { readonly sets: [string, NamedSet][]; readonly chains: [string, Chain][] }

const namedSet = (type: string, keys: readonly string[]): NamedSet => ({
  kind: "set",
  type,
  elements: new Map(keys.map((key) => [key, ""])),
})
const namedMap = (type: string, elements: readonly [string, string][]): NamedSet => ({
  kind: "map",
  type,
  elements: new Map(elements),
})
const counting: NamedSet = { kind: "set", type: "ifname; size 65535; flags dynamic; counter", elements: new Map() }
const chain = (rules: readonly string[], hook = ""): Chain => ({ hook, rules })

function groupParts(group: Group, addresses: readonly string[], known: ReadonlySet<string>): Parts {
  return {
    sets: [[members(group.id), namedSet("ipv4_addr", addresses)]],
    chains: [
      [`to-${group.id}`, chain(ruleLines(group.ingress, "saddr", "accept", known))],
      [`from-${group.id}`, chain(ruleLines(group.egress, "daddr", "goto admit", known))],
    ],
  }
}

function portChains(port: PortSpec, known: ReadonlySet<string>): [string, Chain][] {
  const groups = port.groups.filter((group) => known.has(group))
  return [
    [`in-${port.number}`, chain([...groups.map((group) => `jump to-${group}`), "drop"])],
    [`out-${port.number}`, chain([...groups.map((group) => `jump from-${group}`), "drop"])],
  ]
}

function portSets(spec: NetworkSpec, names: Names): [string, NamedSet][] {
  const online = withPublicAddress(spec)
  const tap = (port: PortSpec) => `"${names.tap(port.number)}"`
  const card = (port: PortSpec) => `${tap(port)} . ${port.mac.toLowerCase()}`
  const checked = spec.ports.filter((port) => port.checkSource)
  const unchecked = spec.ports.filter((port) => !port.checkSource)
  const address = "ipv4_addr : ipv4_addr"
  return [
    [
      "source",
      namedSet(
        "ifname . ether_addr . ipv4_addr",
        checked.flatMap((port) => addressesOf(port).map(({ address }) => `${card(port)} . ${address}`)),
      ),
    ],
    ["unchecked", namedSet("ifname . ether_addr", unchecked.map(card))],
    ["card", namedSet("ifname . ether_addr", spec.ports.map(card))],
    [
      "hardware",
      namedSet(
        `typeof iifname . ${dhcp.hardware}`,
        spec.ports.map((port) => `${tap(port)} . 0x${port.mac.toLowerCase().replaceAll(":", "")}`),
      ),
    ],
    [
      "online",
      namedSet(
        "ipv4_addr",
        online.map((held) => held.address),
      ),
    ],
    [
      "infrastructure",
      namedMap(
        address,
        spec.ports.flatMap((port) =>
          addressesOf(port).map(({ address: own }): [string, string] => [own, infrastructureAddress(port.number)]),
        ),
      ),
    ],
    [
      "public",
      namedMap(
        address,
        online.map((held) => [held.address, held.publicAddress]),
      ),
    ],
    [
      "private",
      namedMap(
        address,
        online.map((held) => [held.publicAddress, held.address]),
      ),
    ],
    [
      "ingress",
      namedMap(
        "ifname : verdict",
        spec.ports.map((port) => [tap(port), `goto in-${port.number}`]),
      ),
    ],
    [
      "egress",
      namedMap(
        "ifname : verdict",
        spec.ports.map((port) => [tap(port), `goto out-${port.number}`]),
      ),
    ],
  ]
}

/** Fields of a DHCP message, counted in bits from the UDP header on: the client's hardware address, and the relay's address. */
const dhcp = { hardware: "@th,288,48", relay: "@th,256,32" }

/** Addresses of ports that reach the internet and are reached from it. */
export function withPublicAddress(spec: NetworkSpec): readonly Required<HeldAddress>[] {
  const open = new Set(spec.subnets.filter((subnet) => subnet.internet).map((subnet) => subnet.id))
  return spec.ports
    .filter((port) => open.has(port.subnet))
    .flatMap(addressesOf)
    .flatMap(({ address, publicAddress }) => (publicAddress === undefined ? [] : [{ address, publicAddress }]))
}

/** The VPC's second address, at which its guests ask for names. */
export const resolverOf = (cidr: string) => formatAddress(parseCidr(cidr).first + 2)

function hooks({ cidr }: NetworkSpec, names: Names, publicCidr: string): [string, Chain][] {
  const taps = `"${names.tapPrefix}*"`
  const services = `{ ${metadataAddress}, ${resolverAddress} }`
  const dns = "meta l4proto { tcp, udp } th dport 53"
  const sources = [
    "iifname . ether saddr . ip saddr @source accept",
    `iifname "uplink" ip daddr { ${publicCidr}, 100.64.0.0/10 } accept`,
    `iifname "lo" accept`,
    "iifname . ether saddr @unchecked meta nfproto ipv4 accept",
    "iifname . ether saddr @card ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
    `iifname ${taps} update @${refused} { iifname }`,
  ]
  const dstnat = [
    `iifname "uplink" dnat ip to ip daddr map @private`,
    `iifname ${taps} ip daddr ${resolverOf(cidr)} ${dns} dnat ip to ${resolverAddress}`,
  ]
  const leaving = [
    `ip daddr ${metadataAddress} tcp dport 80 accept`,
    `ip daddr ${resolverAddress} ${dns} accept`,
    `ip daddr { 169.254.0.0/16, ${cidr} } drop`,
    // Asked of every packet: who loses the public address loses the connections that used it.
    "ip saddr != @online drop",
  ]
  const arriving = [`ip saddr ${services} ct state established,related accept`, "ip daddr != @online drop"]
  // Between two ports little is asked of an open connection.
  const forward = [
    // No port is a DHCP server, whatever its groups say: a neighbour's client would believe it.
    `iifname ${taps} udp sport 67 udp dport 68 drop`,
    `oifname "uplink" jump leaving`,
    `iifname "uplink" jump arriving`,
    "ct state established,related accept",
    "ip daddr 169.254.0.0/16 drop",
    "ct state != new drop",
    `iifname "uplink" goto admit`,
    "iifname vmap @egress",
  ]
  const srcnat = [
    `oifname "uplink" ip daddr ${services} snat ip to ip saddr map @infrastructure`,
    `oifname "uplink" snat ip to ip saddr map @public`,
  ]
  const input = [
    `iifname "lo" accept`,
    // In its own name only: a DECLINE in a neighbour's would take the address from it.
    `iifname . ${dhcp.hardware} @hardware ${dhcp.relay} 0x0 udp sport 68 udp dport 67 accept`,
  ]
  return [
    ["admit", chain([`oifname "uplink" accept`, "oifname vmap @ingress", "drop"])],
    ["prerouting-raw", chain(sources, "type filter hook prerouting priority raw; policy drop")],
    ["leaving", chain(leaving)],
    ["arriving", chain(arriving)],
    ["dstnat", chain(dstnat, "type nat hook prerouting priority dstnat")],
    ["forward", chain(forward, "type filter hook forward priority filter; policy drop")],
    ["srcnat", chain(srcnat, "type nat hook postrouting priority srcnat")],
    ["input", chain(input, "type filter hook input priority filter; policy drop")],
  ]
}

/** What was built before, and of what. */
export interface Built {
  readonly spec: NetworkSpec
  readonly rules: RuleSet
}

const withoutRules = (spec: NetworkSpec) => JSON.stringify({ ...spec, groups: spec.groups.map(({ id }) => id) })

/**
 * How the namespace of `spec` filters. Pure: the same spec gives the same rules. Where only rules of groups differ from `last`, all else
 * is taken from there: with hundreds of ports that is most of the work.
 */
export function filtersOf(spec: NetworkSpec, names: Names, publicCidr: string, last?: Built): RuleSet {
  const known = new Set(spec.groups.map((group) => group.id))
  const addresses = new Map(spec.groups.map((group) => [group.id, [] as string[]]))
  for (const port of spec.ports)
    for (const group of port.groups) addresses.get(group)?.push(...addressesOf(port).map(({ address }) => address))
  const groups = spec.groups.map((group) => groupParts(group, addresses.get(group.id) ?? [], known))
  if (last !== undefined && withoutRules(last.spec) === withoutRules(spec))
    return { ...last.rules, chains: new Map([...last.rules.chains, ...groups.flatMap(({ chains }) => chains)]) }
  return {
    table: filterTable,
    sets: new Map([[refused, counting], ...portSets(spec, names), ...groups.flatMap(({ sets }) => sets)]),
    chains: new Map([
      ...hooks(spec, names, publicCidr),
      ...groups.flatMap(({ chains }) => chains),
      ...spec.ports.flatMap((port) => portChains(port, known)),
    ]),
  }
}

/**
 * What a port may say by ARP: that its own card has its own address. Anything else would make the router remember it, in a
 * table that the whole machine shares. A port that sends for others may say more, slowly.
 */
export function claimsOf(spec: NetworkSpec, names: Names): RuleSet {
  const card = (port: PortSpec) => `"${names.tap(port.number)}" . ${port.mac.toLowerCase()}`
  const rules = [
    "iifname . arp saddr ether . arp saddr ip @own accept",
    "iifname . arp saddr ether @unchecked update @slowly { iifname limit rate over 5/second burst 20 packets } drop",
    "iifname . arp saddr ether @unchecked accept",
  ]
  return {
    table: "arp fractus",
    sets: new Map([
      [
        "own",
        namedSet(
          "ifname . ether_addr . ipv4_addr",
          spec.ports.flatMap((port) => addressesOf(port).map(({ address }) => `${card(port)} . ${address}`)),
        ),
      ],
      ["unchecked", namedSet("ifname . ether_addr", spec.ports.filter((port) => !port.checkSource).map(card))],
      ["slowly", { kind: "set", type: "ifname; size 8192; flags dynamic,timeout; timeout 10m", elements: new Map() }],
    ]),
    chains: new Map([["input", chain(rules, "type filter hook input priority filter; policy drop")]]),
  }
}
