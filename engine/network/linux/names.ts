/** What everything of one home is called, and the fixed addresses of its inside. All names start with the slot's prefix. */
import { formatAddress, formatCidr, overlaps, parseAddress, parseCidr, type Range } from "../addresses.ts"

export interface Names {
  readonly prefix: string
  readonly infrastructure: string
  readonly hostDevice: string
  readonly hostTable: string
  /** Namespace of a network: its router. */
  readonly network: (number: number) => string
  /** Namespace in which a guest opens its tap. */
  readonly guest: (portNumber: number) => string
  readonly tap: (portNumber: number) => string
  readonly networkPrefix: string
  readonly guestPrefix: string
  readonly tapPrefix: string
  /** A tap that is no port's yet. */
  readonly parked: (number: number) => string
  readonly parkedPrefix: string
}

export function namesOf(prefix: string): Names {
  if (!/^[a-z][a-z0-9]{1,5}$/.test(prefix)) throw new Error(`a name prefix has 2 to 6 letters and digits: ${prefix}`)
  const [networkPrefix, guestPrefix] = [`${prefix}-n`, `${prefix}-g`]
  const [tapPrefix, parkedPrefix] = [`${prefix}t`, `${prefix}w`]
  return {
    prefix,
    infrastructure: `${prefix}-infra`,
    hostDevice: `${prefix}-host`,
    hostTable: `${prefix}-host`,
    network: (number) => `${networkPrefix}${number}`,
    guest: (portNumber) => `${guestPrefix}${portNumber}`,
    tap: (portNumber) => `${tapPrefix}${portNumber}`,
    networkPrefix,
    guestPrefix,
    tapPrefix,
    parked: (number) => `${parkedPrefix}${number}`,
    parkedPrefix,
  }
}

/**
 * The link between a network and the infrastructure: the same addresses on all of them, never asked for by ARP (the reverse
 * path filter of the infrastructure namespace would refuse that), but known to both ends.
 */
export const transit = {
  infrastructure: "169.254.254.1",
  infrastructureMac: "02:fc:00:00:00:01",
  network: "169.254.254.2",
  networkMac: "02:fc:00:00:00:02",
}
/** What every guest knows its router by, each on a link of its own: a guest that hibernates finds it where it was. */
export const routerMac = "02:fc:00:00:00:03"
export const metadataAddress = "169.254.169.254"
export const resolverAddress = "169.254.169.253"

/**
 * Inside, packets may be as large as on AWS. The way out is narrower (the host's own device decides): a TCP connection
 * learns of it at once because its MSS is clamped on the host, all others by "fragmentation needed", as at AWS's gateways.
 */
export const insideMtu = 9001

export interface Link {
  readonly cidr: string
  readonly host: string
  readonly infrastructure: string
}

/**
 * The /30 between host and infrastructure: the top of the benchmark range, or of a range for documentation where the pool or
 * anything else of the host (`taken`) lies there; guests see the host come from it, so it is not link-local. Throws when neither is free.
 */
export function linkOf(slot: number, publicCidr: string, taken: readonly Range[]): Link {
  if (!Number.isInteger(slot) || slot < 0 || slot > 63) throw new Error(`a slot is 0..63: ${slot}`)
  const used = [parseCidr(publicCidr), ...taken]
  const candidates = ["198.19.255.0", "198.51.100.0"].map((base) =>
    parseCidr(`${formatAddress(parseAddress(base) + slot * 4)}/30`),
  )
  const range = candidates.find((candidate) => !used.some((range) => overlaps(candidate, range)))
  if (range === undefined)
    throw new Error(`198.19.255.${slot * 4}/30 and 198.51.100.${slot * 4}/30 are both in use on this host`)
  return {
    cidr: formatCidr(range),
    host: formatAddress(range.first + 1),
    infrastructure: formatAddress(range.first + 2),
  }
}
