/** What is odd about a machine, from what was read of it: pure, so that a test can play any machine. */
import { otherPools } from "#lib/address-pools.ts"
import { BlockList, isIPv4 } from "node:net"
import { systemOf } from "./system.ts"
import { program } from "../failure.ts"
import { type Check, ok, problem, warning } from "./check.ts"

/** What `doctor` reads of a machine; undefined where it is not there or cannot be asked. */
export type Machine = {
  engine: string
  /** /proc/version */
  kernel: string
  hasTun: boolean
  hasIpv6: boolean
  /** /etc/resolv.conf, and systemd-resolved's list of the real servers. */
  resolvers: string | undefined
  resolvedServers: string | undefined
  /** `ip -4 -o route show table all` and the pool of public addresses. */
  routes: string | undefined
  publicCidr: string
  /** `nft list chains`: who else filters what is forwarded. Undefined where it cannot be asked, as without root. */
  chains: string | undefined
  /** What nft said when it failed, as on a kernel without nf_tables. */
  nftFailed?: string
  /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns */
  restrictsUserNamespaces: boolean
  /** `aws --version`, undefined without one. */
  awsVersion: string | undefined
  freeMemoryMiB: number
}

const checkSystem = ({ kernel, engine }: Machine): Check => {
  const system = systemOf(kernel)
  if (system.kind === "linux") return ok("system", kernel.split(" (")[0] ?? "")
  if (engine === "sim") return ok("system", `${system.name}: simulated clouds work as everywhere`)
  const judged = system.kind === "wsl1" ? problem : warning
  return judged("system", `${system.name}: ${system.works}`, `${program} up --engine sim`)
}

const checkTun = ({ hasTun, engine }: Machine): Check => {
  if (hasTun) return ok("tun", "/dev/net/tun is there")
  return (engine === "sim" ? warning : problem)(
    "tun",
    "no /dev/net/tun: real guests get no network",
    "sudo modprobe tun",
  )
}

const checkMemory = ({ freeMemoryMiB, engine }: Machine): Check => {
  const detail = `${freeMemoryMiB} MiB free`
  if (freeMemoryMiB >= 1024 || engine === "sim") return ok("memory", detail)
  return warning("memory", `${detail}; a guest has 0.5 GiB or more`, "free -m")
}

const nameServers = (text: string | undefined): string[] =>
  [...(text ?? "").matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "")

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1"

/** Guests ask our resolver, and that asks the host's. */
const checkNames = ({ resolvers, resolvedServers }: Machine): Check => {
  const direct = nameServers(resolvers)
  if (direct.length === 0) {
    return warning(
      "dns",
      "/etc/resolv.conf names no server: 127.0.0.1 is asked for guests' names",
      "cat /etc/resolv.conf",
    )
  }
  if (direct.some((address) => !isLoopback(address))) return ok("dns", `guests' names go to ${direct.join(", ")}`)
  const real = nameServers(resolvedServers).filter((address) => !isLoopback(address))
  if (real.length > 0) return ok("dns", `systemd-resolved; guests' names go to ${real.join(", ")}`)
  return ok("dns", `guests' names go to ${direct.join(", ")} on this machine, through a relay`)
}

type Network = { network: string; bits: number }

const networkOf = (cidr: string): Network | undefined => {
  const [network = "", bits = "32"] = cidr.split("/")
  return isIPv4(network) ? { network, bits: Number(bits) } : undefined
}

const overlap = (one: Network, other: Network): boolean => {
  const wider = new BlockList()
  wider.addSubnet(one.network, Math.min(one.bits, other.bits), "ipv4")
  return wider.check(other.network, "ipv4")
}

/** A route shorter than this is a way out, as a VPN's 128.0.0.0/1, and no use of the addresses. */
const shortestUse = 8

/** What others than we use of a range: `198.18.4.0/24 on eth0`. */
const usersOf = (routes: string, cidr: string): string[] => {
  const range = networkOf(cidr)
  const found = routes.split("\n").flatMap((line) => {
    const [, to = "", device = ""] = /^(?:\w+ )?(\d+\.\d+\.\d+\.\d+(?:\/\d+)?) .*?dev (\S+)/.exec(line) ?? []
    const used = networkOf(to)
    if (used === undefined || range === undefined || /^fr\d+/.test(device) || used.bits < shortestUse) return []
    return overlap(used, range) ? [`${to} on ${device}`] : []
  })
  return [...new Set(found)]
}

/** The pool is reached by a route of ours; whoever has another one there would lose those addresses, so `up` refuses. */
const checkPool = ({ routes, publicCidr, engine }: Machine): Check => {
  if (routes === undefined) return ok("addresses", `public addresses come from ${publicCidr}`)
  const [first] = usersOf(routes, publicCidr)
  if (first === undefined) return ok("addresses", `nothing else uses ${publicCidr}, the pool of public addresses`)
  const detail = `${first} overlaps ${publicCidr}, the pool of public addresses`
  if (engine === "sim") return ok("addresses", detail)
  const free = otherPools.find((cidr) => usersOf(routes, cidr).length === 0)
  return problem("addresses", detail, `${program} up --public-cidr ${free ?? "CIDR"}`)
}

const defaultVpc = "172.31.0.0/16"

/** Harmless, but a guest that looks for this machine's neighbours there finds its own. */
const checkVpc = ({ routes }: Machine): Check => {
  const [first] = usersOf(routes ?? "", defaultVpc)
  if (first === undefined) return ok("vpc", `nothing else uses ${defaultVpc}, the default VPC`)
  return ok("vpc", `${first} is also the default VPC's: both work, but guests there do not reach that network`)
}

/** A chain of others that drops what is forwarded is no trouble: guests' packets are accepted by name before it, or marked. */
const checkForward = ({ chains, nftFailed, engine }: Machine): Check => {
  if (nftFailed !== undefined && engine !== "sim")
    return problem("firewall", `nft cannot ask the kernel: ${nftFailed}`, "sudo modprobe nf_tables")
  if (chains === undefined || engine === "sim") return ok("firewall", "not looked at")
  const isDropping = /hook forward[^\n]*policy drop/.test(chains)
  return ok(
    "firewall",
    isDropping
      ? "others drop what is forwarded; our guests' packets are let through by name"
      : "nobody drops what is forwarded",
  )
}

const checkUserNamespaces = ({ restrictsUserNamespaces }: Machine): Check =>
  ok(
    "apparmor",
    restrictsUserNamespaces
      ? "restricts namespaces of ordinary users; ours are made by root"
      : "restricts no namespaces",
  )

const checkIpv6 = ({ hasIpv6 }: Machine): Check =>
  ok("ipv6", hasIpv6 ? "there; guests have IPv4 only for now" : "not there or switched off, and not needed")

/** AWS_ENDPOINT_URL came with 1.29 and 2.13. */
const checkClient = ({ awsVersion }: Machine): Check => {
  if (awsVersion === undefined) {
    return warning("aws", "no AWS CLI in PATH", "sudo apt-get install -y --no-install-recommends awscli")
  }
  const [major = 0, minor = 0] = (/aws-cli\/(\d+)\.(\d+)/.exec(awsVersion)?.slice(1) ?? []).map(Number)
  const knowsEndpoint = major > 2 || (major === 2 && minor >= 13) || (major === 1 && minor >= 29)
  const name = awsVersion.split(" ")[0] ?? ""
  return knowsEndpoint
    ? ok("aws", name)
    : warning("aws", `${name} does not know AWS_ENDPOINT_URL`, `${program} aws ec2 describe-instances`)
}

/** In the order they are shown: the machine, its network, what talks to the cloud. */
export const checkMachine = (machine: Machine): Check[] =>
  [
    checkSystem,
    checkMemory,
    checkTun,
    checkUserNamespaces,
    checkForward,
    checkPool,
    checkVpc,
    checkNames,
    checkIpv6,
    checkClient,
  ].map((check) => check(machine))
