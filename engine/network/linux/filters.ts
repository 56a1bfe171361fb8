/**
 * The rule set of one network, as one nft transaction that replaces the whole table. Connections are tracked outside of
 * tables, so an open one goes on when the rule that admitted it is gone, as on AWS.
 *
 * A packet's way: prerouting raw (is the source the port's own?), dstnat (public to private, resolver), forward (egress
 * rules of the sender, then ingress rules of the receiver), srcnat (private to public, or to the port's infrastructure
 * address towards metadata and DNS). Traffic to another port's public address leaves by the uplink and comes back by it,
 * so that the receiver's rules see the sender's public address, as on AWS.
 */
import { formatAddress, infrastructureAddress, parseCidr, withoutOverlaps } from "../addresses.ts"
import type { Group, NetworkSpec, PortSpec, Rule } from "../types.ts"
import { metadataAddress, type Names, resolverAddress } from "./names.ts"

const elements = (values: readonly string[]) => (values.length === 0 ? "" : `elements = { ${values.join(", ")} }`)
const quoted = (text: string) => `"${text}"`
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
    return peerMatches(rule, side, known).map((peer) => `    ${[protocol, peer, verdict].filter(Boolean).join(" ")}`)
  })
}

function groupChains(group: Group, addresses: readonly string[], known: ReadonlySet<string>): string[] {
  return [
    `  set ${members(group.id)} { type ipv4_addr; ${elements(addresses)}; }`,
    `  chain to-${group.id} {`,
    ...ruleLines(group.ingress, "saddr", "accept", known),
    "  }",
    `  chain from-${group.id} {`,
    ...ruleLines(group.egress, "daddr", "goto admit", known),
    "  }",
  ]
}

function portChains(port: PortSpec, known: ReadonlySet<string>): string[] {
  const groups = port.groups.filter((group) => known.has(group))
  return [
    `  chain in-${port.number} {`,
    ...groups.map((group) => `    jump to-${group}`),
    "    drop",
    "  }",
    `  chain out-${port.number} {`,
    ...groups.map((group) => `    jump from-${group}`),
    "    drop",
    "  }",
  ]
}

function definitions(spec: NetworkSpec, names: Names): string[] {
  const online = withPublicAddress(spec)
  const checked = spec.ports.filter((port) => port.checkSource)
  const mac = (port: PortSpec) => `${quoted(names.tap(port.number))} . ${port.mac.toLowerCase()}`
  return [
    `  set source { type ifname . ether_addr . ipv4_addr; ${elements(checked.map((port) => `${mac(port)} . ${port.address}`))}; }`,
    `  set unchecked { type ifname . ether_addr; ${elements(spec.ports.filter((port) => !port.checkSource).map(mac))}; }`,
    `  set card { type ifname . ether_addr; ${elements(spec.ports.map(mac))}; }`,
    `  set online { type ipv4_addr; ${elements(online.map((port) => port.address))}; }`,
    `  map infrastructure { type ipv4_addr : ipv4_addr; ${elements(spec.ports.map((port) => `${port.address} : ${infrastructureAddress(port.number)}`))}; }`,
    `  map public { type ipv4_addr : ipv4_addr; ${elements(online.map((port) => `${port.address} : ${port.publicAddress}`))}; }`,
    `  map private { type ipv4_addr : ipv4_addr; ${elements(online.map((port) => `${port.publicAddress} : ${port.address}`))}; }`,
  ]
}

/** Ports that reach the internet and are reached from it. */
export function withPublicAddress(spec: NetworkSpec): PortSpec[] {
  const open = new Set(spec.subnets.filter((subnet) => subnet.internet).map((subnet) => subnet.id))
  return spec.ports.filter((port) => port.publicAddress !== undefined && open.has(port.subnet))
}

/** The VPC's second address, at which its guests ask for names. */
export const resolverOf = (cidr: string) => formatAddress(parseCidr(cidr).first + 2)

function hooks(spec: NetworkSpec, names: Names, publicCidr: string): string {
  const taps = quoted(`${names.tapPrefix}*`)
  const services = `{ ${metadataAddress}, ${resolverAddress} }`
  return `
  chain prerouting-raw {
    type filter hook prerouting priority raw; policy drop
    iifname "lo" accept
    iifname "uplink" ip daddr { ${publicCidr}, 100.64.0.0/10 } accept
    iifname . ether saddr . ip saddr @source accept
    iifname . ether saddr @unchecked meta nfproto ipv4 accept
    iifname . ether saddr @card ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
  }
  chain dstnat {
    type nat hook prerouting priority dstnat
    iifname "uplink" dnat ip to ip daddr map @private
    iifname ${taps} ip daddr ${resolverOf(spec.cidr)} meta l4proto { tcp, udp } th dport 53 dnat ip to ${resolverAddress}
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    oifname "uplink" ip daddr ${metadataAddress} tcp dport 80 accept
    oifname "uplink" ip daddr ${resolverAddress} meta l4proto { tcp, udp } th dport 53 accept
    iifname "uplink" ip saddr ${services} ct state established,related accept
    ip daddr 169.254.0.0/16 drop
    oifname "uplink" ip daddr ${spec.cidr} drop
    oifname "uplink" ip saddr != @online drop
    iifname "uplink" ip daddr != @online drop
    ct state established,related accept
    ct state != new drop
    iifname "uplink" goto admit
    iifname vmap @egress
  }
  chain admit {
    oifname "uplink" accept
    oifname vmap @ingress
    drop
  }
  chain srcnat {
    type nat hook postrouting priority srcnat
    oifname "uplink" ip daddr ${services} snat ip to ip saddr map @infrastructure
    oifname "uplink" snat ip to ip saddr map @public
  }
  chain input {
    type filter hook input priority filter; policy drop
    iifname "lo" accept
    iifname ${taps} udp sport 68 udp dport 67 accept
  }`
}

/** The transaction that makes the namespace of `spec` filter exactly so. Pure: the same spec gives the same text. */
export function filterTransaction(spec: NetworkSpec, names: Names, publicCidr: string): string {
  const known = new Set(spec.groups.map((group) => group.id))
  const addresses = new Map(spec.groups.map((group) => [group.id, [] as string[]]))
  for (const port of spec.ports) for (const group of port.groups) addresses.get(group)?.push(port.address)
  const verdicts = (direction: string) =>
    spec.ports.map((port) => `${quoted(names.tap(port.number))} : goto ${direction}-${port.number}`)
  const groups = spec.groups.map((group) => groupChains(group, addresses.get(group.id) ?? [], known))
  return [
    "table inet fractus",
    "delete table inet fractus",
    "table inet fractus {",
    ...definitions(spec, names),
    ...groups.flat(),
    ...spec.ports.flatMap((port) => portChains(port, known)),
    `  map ingress { type ifname : verdict; ${elements(verdicts("in"))}; }`,
    `  map egress { type ifname : verdict; ${elements(verdicts("out"))}; }`,
    hooks(spec, names, publicCidr),
    "}",
    "",
  ].join("\n")
}
