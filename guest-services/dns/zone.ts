/** The names that a guest's resolver answers by itself: its private zone and the public names of our pool, as AmazonProvidedDNS does. */
import type { Answer } from "dns-packet"
import { isIPv4 } from "node:net"
import type { NetworkDocument } from "#host/protocol/types.ts"
import type { Question } from "./messages.ts"

/** "none": the zone is ours and has no such name. Undefined: not ours, ask upstream. */
export type ZoneAnswer =
  | { readonly kind: "answers"; readonly answers: Answer[] }
  | { readonly kind: "none" }
  | undefined

const ttl = 60
const metadataAddress = "169.254.169.254"

const isPrivate = (address: string) => /^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.)/.test(address)

function addressOfName(label: string, { network }: ZoneOf): string | undefined {
  if (label === "instance-data") return metadataAddress
  if (network?.resolver === "no-port-names") return undefined
  if (network?.names !== undefined && Object.hasOwn(network.names, label)) return network.names[label]
  const address = /^ip-([0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3})$/.exec(label)?.[1]?.replaceAll("-", ".")
  return address !== undefined && isIPv4(address) ? address : undefined
}

function nameOfAddress(address: string, domainName: string, { network }: ZoneOf): string | undefined {
  if (address === metadataAddress) return `instance-data.${domainName}`
  if (network?.resolver === "no-port-names") return undefined
  const called = network?.hostNames
  if (called !== undefined && Object.hasOwn(called, address)) return `${called[address]}.${domainName}`
  return isPrivate(address) ? `ip-${address.replaceAll(".", "-")}.${domainName}` : undefined
}

/** First and last address of the pool, as numbers. */
export interface Pool {
  readonly first: number
  readonly last: number
}

const numberOf = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)

/** "198.18.0.0/20" as a pool; without one no public name is ours. Throws on anything else. */
export function poolOf(cidr: string | undefined): Pool | undefined {
  if (cidr === undefined) return undefined
  const [, address = "", bits = ""] = /^([0-9.]+)\/([0-9]|[12][0-9]|3[0-2])$/.exec(cidr) ?? []
  const size = 2 ** (32 - Number(bits))
  if (!isIPv4(address) || numberOf(address) % size !== 0) throw new Error(`not a pool of addresses: ${cidr}`)
  return { first: numberOf(address), last: numberOf(address) + size - 1 }
}

const holds = (pool: Pool | undefined, address: string) =>
  pool !== undefined && isIPv4(address) && numberOf(address) >= pool.first && numberOf(address) <= pool.last

/** What a guest's resolver knows of the guest. */
export interface ZoneOf {
  /** Its private domain: "ec2.internal", or "<region>.compute.internal". */
  readonly domainName: string
  readonly pool: Pool | undefined
  /** What is known of its own network. */
  readonly network: NetworkDocument | undefined
}

/** Public addresses of its own network that have names there, to private ones. */
const privateAddresses = ({ network }: ZoneOf) =>
  network === undefined || network.resolver === "no-port-names" ? {} : network.privateAddresses

/** The domain of public names beside a private one's, as EC2 forms them: us-east-1 is older than regions' names are. */
function publicDomain(domainName: string): string {
  const region = /^([a-z0-9-]+)\.compute\.internal$/.exec(domainName)?.[1]
  return region === undefined ? "compute-1.amazonaws.com" : `${region}.compute.amazonaws.com`
}

const publicName =
  /^ec2-([0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3})\.((?:compute-1|[a-z0-9-]{1,32}\.compute)\.amazonaws\.com)$/

/**
 * The address of a public name of our pool: the private one in the network of whoever holds it, else the public one, as on AWS
 * (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html). Undefined: no such name, or one of AWS's own.
 */
function addressOfPublicName(name: string, zone: ZoneOf): string | undefined {
  const [, dashed = "", domain] = publicName.exec(name) ?? []
  const address = dashed.replaceAll("-", ".")
  if (!holds(zone.pool, address)) return undefined
  const inside: Readonly<Record<string, string>> = privateAddresses(zone)
  // One network is in one region: its public addresses have no name in another's domain.
  const isOwn = Object.hasOwn(inside, address) && domain === publicDomain(zone.domainName.toLowerCase())
  return isOwn ? inside[address] : address
}

function reverseOf(address: string, zone: ZoneOf): string | undefined {
  const domain = zone.domainName.toLowerCase()
  if (!holds(zone.pool, address)) return nameOfAddress(address, domain, zone)
  const isOwn = Object.hasOwn(privateAddresses(zone), address)
  return isOwn ? `ec2-${address.replaceAll(".", "-")}.${publicDomain(domain)}` : undefined
}

const wants = (question: Question, type: string) => question.type === type || question.type === "ANY"

/** The name is there, but perhaps has nothing of the type that is asked for: an empty answer, not "no such name". */
function found(question: Question, type: "A" | "PTR", data: string): ZoneAnswer {
  return { kind: "answers", answers: wants(question, type) ? [{ type, name: question.name, ttl, data }] : [] }
}

/** Answer `question` of a guest for whom `zone` holds. */
export function answerFromZone(question: Question, zone: ZoneOf): ZoneAnswer {
  const name = question.name.toLowerCase()
  const domain = zone.domainName.toLowerCase()
  const reverse = /^([0-9.]+)\.in-addr\.arpa$/.exec(name)?.[1]
  if (reverse !== undefined) {
    const target = isIPv4(reverse) ? reverseOf(reverse.split(".").toReversed().join("."), zone) : undefined
    return target === undefined ? undefined : found(question, "PTR", target)
  }
  const publicAddress = addressOfPublicName(name, zone)
  if (publicAddress !== undefined) return found(question, "A", publicAddress)
  const label =
    name === "instance-data" ? name : name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : undefined
  if (label === undefined) return name === domain ? { kind: "answers", answers: [] } : undefined
  const address = addressOfName(label, zone)
  return address === undefined ? { kind: "none" } : found(question, "A", address)
}
