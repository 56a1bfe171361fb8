/** What is odd about a machine, from what was read of it: pure, so that a test can play any machine. */
import { BlockList, isIPv4 } from "node:net"
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
  /** `nft list chains`: who else filters what is forwarded. */
  chains: string | undefined
  /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns */
  restrictsUserNamespaces: boolean
  /** `aws --version`, undefined without one. */
  awsVersion: string | undefined
  freeMemoryMiB: number
}

/** Names Windows Subsystem for Linux, where guests have no KVM and often no netfilter. */
const checkSystem = ({ kernel, engine }: Machine): Check => {
  const isWsl = /microsoft/i.test(kernel)
  if (!isWsl) return ok("system", kernel.split(" (")[0] ?? "")
  if (engine === "sim") return ok("system", "WSL: simulated clouds work as everywhere")
  return warning("system", "WSL: simulated clouds work; for real guests use a Linux VM", `${program} up --engine sim`)
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

/** The pool is reached by a route of ours; whoever has a longer one in it takes those addresses from guests. */
const checkPool = ({ routes, publicCidr, engine }: Machine): Check => {
  if (routes === undefined) return ok("addresses", `public addresses come from ${publicCidr}`)
  const [network = "", bits = "32"] = publicCidr.split("/")
  const pool = new BlockList()
  pool.addSubnet(network, Number(bits), "ipv4")
  const taken = routes
    .split("\n")
    .filter((line) => !/ dev fr\d+/.test(line))
    .flatMap(
      (line) => /^(?:\w+ )?(\d+\.\d+\.\d+\.\d+)(?:\/\d+)? .*?dev (\S+)/.exec(line)?.slice(1, 3).join(" on ") ?? [],
    )
    .filter((found) => isIPv4(found.split(" ")[0] ?? "") && pool.check(found.split(" ")[0] ?? "", "ipv4"))
  const [first] = new Set(taken)
  if (first === undefined) return ok("addresses", `nothing else uses ${publicCidr}, the pool of public addresses`)
  const detail = `${first} is inside ${publicCidr}, the pool of public addresses`
  return engine === "sim"
    ? ok("addresses", detail)
    : warning("addresses", detail, `${program} up --public-cidr 203.0.113.0/24`)
}

/** A chain of others that drops what is forwarded is no trouble: guests' packets are accepted by name before it, or marked. */
const checkForward = ({ chains, engine }: Machine): Check => {
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
  ok("ipv6", hasIpv6 ? "there; guests have IPv4 only for now" : "not there, and not needed")

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

/** All of them, in the order they are shown. */
export const checkMachine = (machine: Machine): Check[] =>
  [
    checkSystem,
    checkTun,
    checkMemory,
    checkNames,
    checkPool,
    checkForward,
    checkIpv6,
    checkUserNamespaces,
    checkClient,
  ].map((check) => check(machine))
