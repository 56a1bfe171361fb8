/** All that is touched in the host's own namespace: one device, one route, one table, `ip_forward`, and accept rules. */
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { contains, overlaps, parseCidr, type Range } from "../addresses.ts"
import { run } from "./command.ts"
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

/** What the host routes elsewhere than to us: range, and words for it. */
export async function foreignRoutes(namespace: Namespace, names: Names): Promise<{ range: Range; words: string }[]> {
  const routes = await ipJson<ListedRoute>(namespace, "-4", "route", "show", "table", "all")
  return routes
    .filter(({ dst, dev, type }) => dst !== "default" && dev !== names.hostDevice && type !== "broadcast")
    .map(({ dst, dev, gateway }) => ({
      range: parseCidr(dst.includes("/") ? dst : `${dst}/32`, true),
      words: [dst, gateway && `via ${gateway}`, dev && `dev ${dev}`].filter(Boolean).join(" "),
    }))
}

/** Refuse a pool or link that the host uses for something else. Throws an Error naming what. */
export async function checkPoolIsFree({ namespace, names, publicCidr, link }: HostPart): Promise<void> {
  for (const { range, words } of await foreignRoutes(namespace, names)) {
    if (overlaps(range, parseCidr(publicCidr))) {
      throw new Error(`${publicCidr} is in use on this host (route ${words}): choose another public pool`)
    }
    if (overlaps(range, parseCidr(link.cidr))) {
      throw new Error(`${link.cidr}, our link, came into use on this host (route ${words}): open the network again`)
    }
  }
}

/** Only once per home, and only what was there before any home of this host came. */
async function rememberForwarding({ namespace, names, runDirectory }: HostPart): Promise<void> {
  const file = join(runDirectory, "ip_forward")
  if ((await readFile(file, "utf8").catch(() => "")) !== "") return
  const links = await ipJson<{ ifname: string; ifalias?: string }>(namespace, "link", "show")
  const other = links.find((link) => link.ifname !== names.hostDevice && /^ip_forward=[01]$/.test(link.ifalias ?? ""))
  const before = other?.ifalias?.split("=")[1] ?? String(await readSysctl(namespace, forwarding))
  await writeFile(file, before, { flush: true })
}

const table = ({ names, publicCidr, link }: HostPart) => {
  const device = `"${names.hostDevice}"`
  // The whole benchmark range is left alone: other homes of this host see who calls.
  const own = withoutContained([publicCidr, "198.18.0.0/15"])
  return `table inet ${names.hostTable}
delete table inet ${names.hostTable}
table inet ${names.hostTable} {
  comment "fractus"
  chain from-guests {
    type filter hook prerouting priority mangle; policy accept
    iifname != ${device} return
    ct state established,related return
    ip saddr ${link.infrastructure} meta l4proto { tcp, udp } th dport 53 return comment "fractus: names that the host resolves"
    fib daddr type != unicast drop comment "fractus: guests do not reach the host"
    ip saddr != { ${publicCidr}, ${link.infrastructure} } drop comment "fractus"
  }
  chain passing {
    type filter hook forward priority filter; policy accept
    iifname ${device} oifname ${device} drop comment "fractus"
    iifname ${device} tcp flags syn tcp option maxseg size set rt mtu comment "fractus"
    oifname ${device} tcp flags syn tcp option maxseg size set rt mtu comment "fractus"
  }
  chain to-the-world {
    type nat hook postrouting priority srcnat; policy accept
    oifname != ${device} ip saddr { ${publicCidr}, ${link.infrastructure} } ip daddr != { ${own.join(", ")} } masquerade comment "fractus"
  }
}
`
}

function withoutContained(cidrs: readonly string[]): string[] {
  const ranges = cidrs.map((cidr): [string, Range] => [cidr, parseCidr(cidr)])
  return ranges
    .filter(([cidr, range]) => !ranges.some(([other, outer]) => other !== cidr && contains(outer, range)))
    .map(([cidr]) => cidr)
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
  await nft(namespace, table(part))
  await ipBatch(namespace, [
    `link set ${names.hostDevice} alias ip_forward=${before}`,
    `addr replace ${link.host}/30 dev ${names.hostDevice}`,
    `link set ${names.hostDevice} mtu ${insideMtu} up`,
    `route replace ${publicCidr} via ${link.infrastructure} dev ${names.hostDevice}`,
  ])
  await sysctl(namespace, { [forwarding]: 1 })
  await acceptElsewhere(part)
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
  const links = await ipJson<{ ifname: string; ifalias?: string }>(namespace, "link", "show")
  const others = links.some((link) => link.ifname !== names.hostDevice && link.ifalias?.startsWith("ip_forward="))
  if (links.some((link) => link.ifname === names.hostDevice)) await ip(namespace, "link", "del", names.hostDevice)
  const file = join(runDirectory, "ip_forward")
  const before = (await readFile(file, "utf8").catch(() => "")).trim()
  if (before !== "" && !others) await sysctl(namespace, { [forwarding]: Number(before) })
  await rm(file, { force: true })
}
