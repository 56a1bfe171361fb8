/** The resolvers that the host itself asks, read again when its files change. */
import { readFileSync, statSync } from "node:fs"
import { isIP, isIPv4 } from "node:net"
import type { Clock } from "#lib/clock.ts"

export interface Resolver {
  /** IPv4, or IPv6 with its zone where it has one. */
  readonly address: string
  readonly port: number
}

export interface HostResolvers {
  /** What a program in the host's own network asks, in this order: never empty, three at most, as the C library takes them. */
  readonly named: readonly Resolver[]
  /** Those that the infrastructure namespace reaches by itself. */
  readonly direct: readonly Resolver[]
}

export interface ResolverFiles {
  /** /etc/resolv.conf by default. */
  readonly used?: string
  /** Where systemd-resolved names the servers behind its stub. */
  readonly behindStub?: string
}

/** How often the files are looked at. */
const lookMs = 2_000
const mostServers = 3

/** systemd-resolved's listeners (systemd-resolved.service(8)); they answer on the host's loopback alone. */
const stubs = new Set(["127.0.0.53", "127.0.0.54"])

/**
 * Ranges that mean something else in the infrastructure namespace than on the host: itself, link-local (there it is our own
 * services, on some clouds the host's resolver), and the numbers of interfaces (on the host, Tailscale's).
 */
const notDirect = /^(0\.|127\.|169\.254\.|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.)/

/** As resolv.conf(5) has it: the word at the start of a line, its first value, the first three of them. */
function addressesIn(text: string): string[] {
  const found = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address = ""]) => address)
  return found.filter((address) => isIP(address) !== 0).slice(0, mostServers)
}

const isDirect = (address: string) => isIPv4(address) && !notDirect.test(address)
const atPort53 = (address: string): Resolver => ({ address, port: 53 })

/** A function that gives the resolvers as the files name them now; they are looked at every two seconds at most. */
export function hostResolvers(clock: Clock, files: ResolverFiles = {}): () => HostResolvers {
  const { used = "/etc/resolv.conf", behindStub = "/run/systemd/resolve/resolv.conf" } = files
  let [checkedMs, stamp] = [Number.NEGATIVE_INFINITY, ""]
  let known: HostResolvers = { named: [], direct: [] }
  return () => {
    if (clock.monotonicMs() - checkedMs < lookMs) return known
    checkedMs = clock.monotonicMs()
    const now = [used, behindStub].map(stampOf).join()
    if (now === stamp) return known
    stamp = now
    known = read(used, behindStub)
    return known
  }
}

function read(used: string, behindStub: string): HostResolvers {
  const named = addressesIn(readOrEmpty(used))
  const own = named.filter(isDirect)
  const isStub = named.some((address) => stubs.has(address))
  const direct = own.length === 0 && isStub ? addressesIn(readOrEmpty(behindStub)).filter(isDirect) : own
  return {
    // Without any, resolv.conf(5) says, the one on this machine is asked.
    named: (named.length === 0 ? ["127.0.0.1"] : named).map(atPort53),
    direct: direct.map(atPort53),
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stat === undefined ? "" : `${stat.ino}.${stat.mtimeNs}.${stat.size}`
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** "1.1.1.1,9.9.9.9:53" as resolvers. Throws on anything else. */
export function resolversOf(setting: string): readonly Resolver[] {
  return setting.split(",").map((entry) => {
    const [address = "", port = "53"] = entry.split(":")
    if (!isIPv4(address) || !/^[0-9]{1,5}$/.test(port)) throw new Error(`not a resolver: ${entry}`)
    return { address, port: Number(port) }
  })
}
