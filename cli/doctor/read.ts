import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { isRoot } from "../caller.ts"
import { findInPath } from "../commands/aws.ts"
import type { Machine } from "./machine.ts"

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** Undefined when it is not there. */
const runIfThere = (program: string, ...words: string[]) => {
  const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`
  if (findInPath(program, PATH) === undefined) return undefined
  return spawnSync(program, words, { encoding: "utf8", timeout: 10_000, env: { ...process.env, PATH, LC_ALL: "C" } })
}

/** What a command says; undefined when it is not there or fails. */
const said = (program: string, ...words: string[]): string | undefined => {
  const done = runIfThere(program, ...words)
  return done?.status === 0 ? done.stdout || done.stderr : undefined
}

const readChains = (): Pick<Machine, "chains" | "nftFailed"> => {
  const done = runIfThere("nft", "list", "chains")
  if (done === undefined || done.status === 0) return { chains: done?.stdout }
  return { chains: undefined, nftFailed: done.stderr?.trim().split("\n")[0] || `exit ${done.status ?? done.signal}` }
}

/** Reads this machine; takes about a third of a second, nearly all of it the AWS CLI's. */
export const readMachine = (engine: string, publicCidr: string): Machine => ({
  engine,
  publicCidr,
  kernel: textOf("/proc/version")?.trim() ?? "",
  hasTun: existsSync("/dev/net/tun"),
  hasIpv6: textOf("/proc/sys/net/ipv6/conf/all/disable_ipv6")?.trim() === "0",
  resolvers: textOf("/etc/resolv.conf"),
  resolvedServers: textOf("/run/systemd/resolve/resolv.conf"),
  routes: said("ip", "-4", "-o", "route", "show", "table", "all"),
  ...(isRoot() ? readChains() : { chains: undefined }),
  restrictsUserNamespaces: textOf("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.trim() === "1",
  awsVersion: said("aws", "--version"),
  freeMemoryMiB: Math.floor(Number(/^MemAvailable:\s+(\d+)/m.exec(textOf("/proc/meminfo") ?? "")?.[1] ?? 0) / 1024),
})
