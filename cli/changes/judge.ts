import type { Seen } from "./look.ts"

/** Something of this machine that is ours. */
export type Change = {
  kind: "user" | "namespace" | "link" | "route" | "nft table" | "nft rule" | "sysctl" | "cgroup" | "files"
  name: string
  /** `left over`: it is there though the cloud is down. `missing`: it is not there though the cloud runs. */
  state: "there" | "missing" | "changed" | "left over"
  detail: string
}

/** What a home of this slot has changed on the machine, and how that differs from what it should be now. Pure. */
export const judge = (seen: Seen, slot: number, running: boolean): Change[] => {
  const prefix = `fr${slot}`
  const device = `${prefix}-host`
  /** Only while it runs is it wished for. */
  const change = (kind: Change["kind"], name: string, there: boolean, detail: string): Change[] => {
    if (there) return [{ kind, name, state: running ? "there" : "left over", detail }]
    return running ? [{ kind, name, state: "missing", detail }] : []
  }
  const link = seen.links.find(({ ifname }) => ifname === device)
  const routes = seen.routes.filter(({ dev, dst }) => dev === device && dst.includes("/"))
  const table = seen.nftables.some((each) => each.table?.family === "inet" && each.table.name === device)
  return [
    ...(seen.users.includes("fractus") ? [userOf("stays: it owns the store of every home")] : []),
    ...change("namespace", `${prefix}-infra`, seen.namespaces.includes(`${prefix}-infra`), "metadata, DNS, routing"),
    ...seen.namespaces
      .filter((name) => /^-[ng]\d+$/.test(name.slice(prefix.length)) && name.startsWith(prefix))
      .toSorted()
      .flatMap((name) => change("namespace", name, true, name.includes("-n") ? "router of a VPC" : "of a guest")),
    ...change("link", device, link !== undefined, "the way from this machine to the guests"),
    ...(link?.flags?.includes("UP") === false
      ? [{ kind: "link" as const, name: device, state: "changed" as const, detail: "is down" }]
      : []),
    ...(routes.length === 0
      ? change("route", "public addresses", false, `via ${device}`)
      : routes.flatMap(({ dst }) => change("route", dst, true, `via ${device}`))),
    ...change("nft table", `inet ${device}`, table, "guests reach the world, and not this machine"),
    ...rules(seen, prefix, device, change),
    ...forwarding(seen, device, running),
    ...seen.cgroups.flatMap((path) => change("cgroup", path, true, "limits of guests")),
    ...change("files", `/run/fractus/${slot}`, seen.runDirectory, "sockets and records, gone after a reboot"),
  ]
}

const userOf = (detail: string): Change => ({ kind: "user", name: "fractus", state: "there", detail })

type Judge = (kind: Change["kind"], name: string, there: boolean, detail: string) => Change[]

/** Accept rules in the chains of others, which would drop guests' packets: engine/network/linux/host.ts says which. */
const rules = ({ nftables }: Seen, prefix: string, device: string, change: Judge): Change[] => {
  const own = nftables.flatMap(({ rule }) => (rule?.comment === `fractus ${prefix}` ? [rule] : []))
  const blocking = nftables
    .flatMap(({ chain }) => chain ?? [])
    .filter(({ family, table }) => (family === "ip" || family === "inet") && !table.endsWith("-host"))
    .filter(
      ({ table, name, hook, policy }) =>
        (hook === "forward" && policy === "drop") || (table === "firewalld" && name === "filter_FORWARD"),
    )
  const held = own.flatMap(({ family, table, chain, handle }) =>
    change("nft rule", `${family} ${table} ${chain} handle ${handle}`, true, `accepts what passes ${device}`),
  )
  const bare = blocking
    .filter((chain) => own.filter((rule) => sameChain(rule, chain)).length < 2)
    .flatMap(({ family, table, name }) => {
      const missing = change("nft rule", `${family} ${table} ${name}`, false, `drops what passes ${device}`)
      return missing
    })
  return [...held, ...bare]
}

const sameChain = (
  rule: { family: string; table: string; chain: string },
  chain: { family: string; table: string; name: string },
): boolean => rule.family === chain.family && rule.table === chain.table && rule.chain === chain.name

/** The link's alias says what the setting was before any home of this machine came. */
const forwarding = ({ links, forwarding: now }: Seen, device: string, running: boolean): Change[] => {
  const before = links.find(({ ifname }) => ifname === device)?.ifalias?.split("=")[1]
  const name = "net.ipv4.ip_forward"
  if (running && now !== "1") return [{ kind: "sysctl", name, state: "changed", detail: `is ${now}; guests need 1` }]
  if (running && before === "0") return [{ kind: "sysctl", name, state: "there", detail: "1; was 0 and will be again" }]
  return []
}
