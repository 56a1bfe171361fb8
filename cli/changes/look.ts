/** What stands on this machine that may be ours, as its own tools show it. Needs root for the firewall. */
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** One rule or chain or table, as `nft -j list ruleset` shows it. */
type NftObject = {
  table?: { family: string; name: string }
  chain?: { family: string; table: string; name: string; hook?: string; policy?: string }
  rule?: { family: string; table: string; chain: string; handle: number; comment?: string }
}

export type Seen = {
  /** Names below /run/netns. */
  namespaces: string[]
  links: { ifname: string; ifalias?: string; flags?: string[] }[]
  routes: { dst: string; dev?: string }[]
  nftables: NftObject[]
  forwarding: string
  /** Directories of control groups whose name is the slot's prefix. */
  cgroups: string[]
  users: string[]
  runDirectory: boolean
}

const list = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : [])

/** What it printed, which should be JSON; for nothing an empty list. */
const printed = (program: string, ...args: string[]): string => {
  const options = { encoding: "utf8", timeout: 10_000, maxBuffer: 64 * 1024 * 1024 } as const
  const env = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" }
  const text = execFileSync(program, args, { ...options, env, stdio: ["ignore", "pipe", "pipe"] })
  return text.trim() === "" ? "[]" : text
}

/** Version 1 has a folder for each controller, version 2 one for all. */
const cgroupsNamed = (name: string): string[] => {
  const root = "/sys/fs/cgroup"
  const places = [root, ...list(root).map((each) => join(root, each))]
  return [...new Set(places.map((place) => join(place, name)))].filter((path) => existsSync(path))
}

/**
 * The home that has this slot by now, by host/slots.ts' record; undefined when nobody has. A home that is down may remember a slot that
 * another took since: what stands under its name is the other's.
 */
export const holderOfSlot = (slot: number, directory = "/run/fractus/slots"): string | undefined => {
  try {
    const { home }: { home?: string } = JSON.parse(readFileSync(join(directory, String(slot), "holder.json"), "utf8"))
    return home
  } catch {
    return undefined
  }
}

/** Throws where a tool is missing or refuses. */
export const look = (slot: number): Seen => {
  const { nftables }: { nftables: NftObject[] } = JSON.parse(printed("nft", "-j", "list", "ruleset"))
  const links: Seen["links"] = JSON.parse(printed("ip", "-j", "link", "show"))
  const routes: Seen["routes"] = JSON.parse(printed("ip", "-j", "-4", "route", "show", "table", "all"))
  return {
    namespaces: list("/run/netns"),
    links,
    routes,
    nftables,
    forwarding: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim(),
    cgroups: cgroupsNamed(`fr${slot}`),
    users: readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":")[0] ?? ""),
    runDirectory: existsSync(`/run/fractus/${slot}`),
  }
}
