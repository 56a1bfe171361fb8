/** All that is touched in the host's own namespace: one device, one route, one table, `ip_forward`, and accept rules. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { otherPools } from "#lib/address-pools.ts"
import { overlaps, parseCidr, type Range } from "../addresses.ts"
import { run } from "./command.ts"
import { keepTable } from "./kept.ts"
import { acceptInLegacy, leaveLegacy } from "./legacy.ts"
import { type Link, type Names, insideMtu } from "./names.ts"
import { inside, ip, ipBatch, ipJson, type Namespace, nft, readSysctl, sysctl } from "./namespaces.ts"

const forwarding = "net.ipv4.ip_forward"

export interface HostPart {
  readonly namespace: Namespace
  readonly names: Names
  readonly publicCidr: string
  readonly link: Link
  readonly runDirectory: string
}

interface ListedRoute {
  readonly dst: string
  readonly dev?: string
  readonly gateway?: string
  readonly type?: string
}

/**
 * Addresses of ours that the host uses for something else: the message names the route. `free` is a pool that it does not use, as
 * far as its routes say.
 */
export class AddressesInUse extends Error {
  readonly free: string | undefined
  constructor(message: string, free: string | undefined) {
    super(message)
    this.name = "AddressesInUse"
    this.free = free
  }
}

/** A route shorter than this is a way out, as a VPN's 128.0.0.0/1, and no use of the addresses: ours is longer and wins. */
const shortestUse = 8

/** How often routes are listed until all their devices have names. */
const listings = 40

/** `ip` writes "if" and a number for a device that went while it listed: such a route is gone the next time, unless that is a name. */
async function listRoutes(namespace: Namespace): Promise<ListedRoute[]> {
  for (let left = listings; ; left--) {
    const routes = await ipJson<ListedRoute>(namespace, "-4", "route", "show", "table", "all")
    if (left === 0 || !routes.some(({ dev }) => /^if\d+$/.test(dev ?? ""))) return routes
    await sleep(25)
  }
}

/** What the host routes elsewhere than to us: range, and words for it. */
export async function foreignRoutes(namespace: Namespace, names: Names): Promise<{ range: Range; words: string }[]> {
  const routes = await listRoutes(namespace)
  return routes
    .filter(({ dst, dev, type }) => dst !== "default" && dev !== names.hostDevice && type !== "broadcast")
    .filter(({ dst }) => Number(dst.split("/")[1] ?? 32) >= shortestUse)
    .map(({ dst, dev, gateway }) => ({
      range: parseCidr(dst.includes("/") ? dst : `${dst}/32`, true),
      words: [dst, gateway && `via ${gateway}`, dev && `dev ${dev}`].filter(Boolean).join(" "),
    }))
}

/** Refuse a pool or link that the host uses for something else. Throws AddressesInUse. */
export async function checkPoolIsFree({ namespace, names, publicCidr, link }: HostPart): Promise<void> {
  const routes = await foreignRoutes(namespace, names)
  const usedBy = (cidr: string) => routes.find(({ range }) => overlaps(range, parseCidr(cidr)))?.words
  const [pool, ours] = [usedBy(publicCidr), usedBy(link.cidr)]
  if (pool !== undefined) {
    const free = otherPools.find((cidr) => usedBy(cidr) === undefined)
    throw new AddressesInUse(`${publicCidr}, the pool of public addresses, is in use on this host: route ${pool}`, free)
  }
  if (ours !== undefined)
    throw new Error(`${link.cidr}, our link, came into use on this host (route ${ours}): open the network again`)
}

/** Devices of all homes of a host are in this group ("fr"): by it one home knows another's. */
export const deviceGroup = 0x6672

/**
 * Connections that guests may have through the host: one of them, and all together. The host's own table of connections has
 * a size, and whoever fills it cuts off the host.
 */
async function connectionLimits(namespace: Namespace): Promise<{ readonly each: number; readonly all: number }> {
  const size = await readSysctl(namespace, "net.netfilter.nf_conntrack_max").catch(() => 0)
  const all = Math.floor((size > 0 ? size : 65_536) / 2)
  return { each: Math.min(20_000, Math.floor(all / 2)), all }
}

/** Only once per home, and only what was there before any home of this host came. */
async function rememberForwarding({ namespace, runDirectory }: HostPart): Promise<void> {
  const file = join(runDirectory, "ip_forward")
  if ((await readFile(file, "utf8").catch(() => "")) !== "") return
  const links = await ipJson<{ ifname: string; ifalias?: string }>(namespace, "link", "show")
  // Also our own device's: the file goes with /run, the device stays.
  const other = links.find((link) => /^ip_forward=[01]$/.test(link.ifalias ?? ""))
  const before = other?.ifalias?.split("=")[1] ?? String(await readSysctl(namespace, forwarding))
  await mkdir(runDirectory, { recursive: true, mode: 0o755 })
  await writeFile(file, before, { flush: true })
}

/** The /24 out of which all homes take their links: a link that is gone must not be looked for outside. */
const linkRange = ({ host }: Link) => host.replace(/\d+$/, "0/24")

const table = ({ names, publicCidr, link }: HostPart, limits: { readonly each: number; readonly all: number }) => {
  const device = `"${names.hostDevice}"`
  return `  comment "fractus"
  set connections { type ipv4_addr; size 65535; flags dynamic; }
  chain from-guests {
    type filter hook prerouting priority mangle; policy accept
    iifname != ${device} return
    ct state established,related return
    ip saddr ${link.infrastructure} meta l4proto { tcp, udp } th dport 53 return comment "fractus: names that the host resolves"
    ip daddr ${linkRange(link)} drop comment "fractus: links of homes, there or gone"
    fib daddr type != unicast drop comment "fractus: guests do not reach the host"
    ip saddr != { ${publicCidr}, ${link.infrastructure} } drop comment "fractus"
    ct state new add @connections { ip saddr ct count over ${limits.each} } drop comment "fractus: the host's table of connections is shared"
    ct state new ct count over ${limits.all} drop comment "fractus"
  }
  chain passing {
    type filter hook forward priority filter; policy accept
    iifname ${device} oifname ${device} drop comment "fractus"
    iifname ${device} tcp flags syn tcp option maxseg size set rt mtu comment "fractus"
    oifname ${device} tcp flags syn tcp option maxseg size set rt mtu comment "fractus"
  }
  chain to-the-world {
    type nat hook postrouting priority srcnat; policy accept
    oifgroup != ${deviceGroup} ip saddr { ${publicCidr}, ${link.infrastructure} } masquerade comment "fractus: other homes see who calls"
  }
`
}

/** The host's half, after the infrastructure namespace has made the link. Idempotent. */
export async function ensureHost(part: HostPart): Promise<void> {
  const { namespace, names, publicCidr, link } = part
  await rememberForwarding(part)
  const before = (await readFile(join(part.runDirectory, "ip_forward"), "utf8")).trim()
  await sysctl(namespace, {
    [`net.ipv6.conf.${names.hostDevice}.disable_ipv6`]: 1,
    [`net.ipv4.conf.${names.hostDevice}.send_redirects`]: 0,
    [`net.ipv4.conf.${names.hostDevice}.accept_redirects`]: 0,
  })
  await keepTable(namespace, `inet ${names.hostTable}`, table(part, await connectionLimits(namespace)))
  await ipBatch(namespace, [
    `link set ${names.hostDevice} group ${deviceGroup}`,
    `link set ${names.hostDevice} alias ip_forward=${before}`,
    `addr replace ${link.host}/30 dev ${names.hostDevice}`,
    `link set ${names.hostDevice} mtu ${insideMtu} up`,
    `route replace ${publicCidr} via ${link.infrastructure} dev ${names.hostDevice}`,
  ])
  await sysctl(namespace, { [forwarding]: 1 })
  await acceptElsewhere(part)
  await acceptInLegacy(namespace, names)
}

interface ListedChain {
  readonly chain?: { family: string; table: string; name: string; hook?: string; policy?: string }
}
interface ListedRule {
  readonly rule?: { family: string; table: string; chain: string; handle: number; comment?: string }
}

const listNft = async <T>(namespace: Namespace, ...what: string[]): Promise<T[]> => {
  const text = await run([...inside(namespace), "nft", "-j", "list", ...what])
  const { nftables }: { nftables: T[] } = JSON.parse(text)
  return nftables
}

const mark = (names: Names) => `fractus ${names.prefix}`

/**
 * A drop in any table beats an accept in ours: so where another one's forward chain drops by default (Docker, ufw) or at
 * its end (firewalld), our traffic is accepted first. What such a tool flushes on reload comes back with the next `up`.
 */
async function acceptElsewhere(part: HostPart): Promise<void> {
  const { namespace, names } = part
  const chains = (await listNft<ListedChain>(namespace, "chains")).flatMap(({ chain }) => chain ?? [])
  const blocking = chains.filter(
    ({ family, table, name, hook, policy }) =>
      (family === "ip" || family === "inet") &&
      !table.endsWith("-host") &&
      ((hook === "forward" && policy === "drop") || (table === "firewalld" && name === "filter_FORWARD")),
  )
  if (blocking.length === 0) return
  const removals = await removeLines(part)
  const inserts = blocking.flatMap(({ family, table, name }) =>
    ["iifname", "oifname"].map(
      (way) => `insert rule ${family} ${table} ${name} ${way} "${names.hostDevice}" accept comment "${mark(names)}"`,
    ),
  )
  await nft(namespace, [...removals, ...inserts, ""].join("\n"))
}

async function removeLines({ namespace, names }: HostPart): Promise<string[]> {
  const rules = (await listNft<ListedRule>(namespace, "ruleset")).flatMap(({ rule }) => rule ?? [])
  return rules
    .filter((rule) => rule.comment === mark(names))
    .map(({ family, table, chain, handle }) => `delete rule ${family} ${table} ${chain} handle ${handle}`)
}

/** Take everything back from the host. Idempotent. */
export async function removeHost(part: HostPart): Promise<void> {
  const { namespace, names, runDirectory } = part
  const table = `table inet ${names.hostTable}`
  await nft(namespace, [...(await removeLines(part)), table, `delete ${table}`, ""].join("\n"))
  await leaveLegacy(namespace, names)
  const links = await ipJson<{ ifname: string; ifalias?: string }>(namespace, "link", "show")
  const others = links.some((link) => link.ifname !== names.hostDevice && link.ifalias?.startsWith("ip_forward="))
  if (links.some((link) => link.ifname === names.hostDevice)) await ip(namespace, "link", "del", names.hostDevice)
  const file = join(runDirectory, "ip_forward")
  const kept = links.find((link) => link.ifname === names.hostDevice)?.ifalias?.split("=")[1] ?? ""
  const before = (await readFile(file, "utf8").catch(() => kept)).trim()
  if (before !== "" && !others) await sysctl(namespace, { [forwarding]: Number(before) })
  await rm(file, { force: true })
}
