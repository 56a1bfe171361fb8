/** One network on this machine: makes its namespace be as a spec says, remembering what was applied so that little is run. */
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { addressesOf, infrastructureAddress } from "../addresses.ts"
import { neighbourLine } from "./answering.ts"
import type { NetworkSpec, PortSpec } from "../types.ts"
import { type Dhcp, dhcpOf, gatewayDevice, stopDhcp } from "./dhcp.ts"
import { replaceFile } from "./files.ts"
import { type Built, claimsOf, filtersOf, withPublicAddress } from "./filters.ts"
import { installGuard, renewGuard } from "./guard.ts"
import { infrastructureDevice, linkNames } from "./infrastructure.ts"
import { insideMtu, type Names, transit } from "./names.ts"
import { changeTransaction, type RuleSet, wholeTransaction } from "./ruleset.ts"
import {
  addNamespace,
  deleteNamespace,
  ip,
  ipBatch,
  ipBatchForgiving,
  ipJson,
  nft,
  quietSysctls,
  sysctl,
} from "./namespaces.ts"

export interface NetworkPlace {
  readonly names: Names
  readonly publicCidr: string
  readonly runDirectory: string
  readonly dhcpUid: number
  /** Taps that stand in a network and are no port's yet. */
  readonly parked: ReadonlySet<string>
}

export interface Network {
  readonly spec: NetworkSpec
  readonly namespace: string
  ensure(spec: NetworkSpec): Promise<void>
  /** Apply the last spec in full, trusting nothing. */
  mend(): Promise<void>
  /** True when DHCP stopped by itself since it was ensured: `mendDhcp` starts it again. */
  readonly dhcpDied: boolean
  mendDhcp(): Promise<void>
  /** Taps that stand in this namespace. */
  readonly plugged: Set<string>
  /** Routes and neighbours of a tap that has just come in. */
  wire(port: PortSpec): Promise<void>
  /** A port's tap is gone. */
  forget(port: PortSpec): void
  remove(): Promise<void>
}

/** What this process knows to be in force. */
interface Applied {
  filters: readonly RuleSet[] | undefined
  destinations: Set<string>
  gateways: Set<string>
  /** Address to tap. */
  addresses: Map<string, string>
}

const tapLines = (port: PortSpec, tap: string) => [
  // The router answers ARP at once: the default keeps a guest waiting for up to 0.8 s.
  `ntable change name arp_cache dev ${tap} proxy_delay 0`,
  `link set ${tap} mtu ${insideMtu} up`,
  ...addressesOf(port).flatMap(({ address }) => [
    // Permanent: no guest can claim another's address, and none can fill the neighbour table.
    neighbourLine({ mac: port.mac, address, tap }, "permanent"),
    `route replace ${address}/32 dev ${tap}`,
  ]),
]

/** Make namespace and link to the infrastructure; `before`: it was there once. */
async function ensureNamespace(number: number, names: Names, before: boolean): Promise<void> {
  const namespace = names.network(number)
  await addNamespace(namespace, before)
  const links = await linkNames(namespace)
  const far = await linkNames(names.infrastructure)
  if (!links.has("uplink") || !far.has(infrastructureDevice(number))) {
    await ip(names.infrastructure, "link", "del", infrastructureDevice(number)).catch(() => {})
    await ip(namespace, "link", "del", "uplink").catch(() => {})
    const link = [
      "link",
      "add",
      infrastructureDevice(number),
      "type",
      "veth",
      "peer",
      "name",
      "uplink",
      "netns",
      namespace,
    ]
    await ip(names.infrastructure, ...link)
  }
  await sysctl(namespace, {
    ...quietSysctls,
    // The router answers for every address at every tap that comes in.
    "net.ipv4.conf.default.proxy_arp": 1,
    "net.ipv4.conf.uplink.proxy_arp": 0,
    "net.ipv4.ip_forward": 1,
    // What waits for its missing fragments: a second each, and room for several guests that flood.
    "net.ipv4.ipfrag_time": 1,
    "net.ipv4.ipfrag_high_thresh": 64 * 1024 * 1024,
  })
  const device = infrastructureDevice(number)
  await ipBatch(names.infrastructure, [
    `link set ${device} address ${transit.infrastructureMac} mtu ${insideMtu} up`,
    `neigh replace ${transit.network} lladdr ${transit.networkMac} dev ${device} nud permanent`,
  ])
  await ipBatch(namespace, [
    "link set lo up",
    ...(links.has(gatewayDevice) ? [] : [`link add ${gatewayDevice} type bridge`]),
    `link set ${gatewayDevice} up`,
    `addr replace ${transit.network}/32 dev uplink`,
    `link set uplink address ${transit.networkMac} mtu ${insideMtu} up`,
    `neigh replace ${transit.infrastructure} lladdr ${transit.infrastructureMac} dev uplink nud permanent`,
    `route replace default via ${transit.infrastructure} dev uplink onlink`,
  ])
}

/** What the infrastructure namespace routes to a network. */
function transitDestinations(spec: NetworkSpec): string[] {
  const infrastructure = spec.ports.map((port) => infrastructureAddress(port.number))
  return [...infrastructure, ...withPublicAddress(spec).map((held) => held.publicAddress)]
}

const difference = (of: Iterable<string>, without: ReadonlySet<string>) =>
  [...of].filter((value) => !without.has(value))

interface ListedRoute {
  readonly dst: string
}
interface ListedAddress {
  readonly addr_info?: readonly { readonly local?: string; readonly family?: string }[]
}

/** The network of `first`, not applied yet: `ensure` does that. `found`: an earlier process made it. */
export function networkOf(first: NetworkSpec, place: NetworkPlace, found = false): Network {
  const { names, publicCidr, parked } = place
  const number = first.number
  const namespace = names.network(number)
  const directory = join(place.runDirectory, "networks", String(number))
  const dhcp: Dhcp = dhcpOf(namespace, directory, place.dhcpUid, names)
  const plugged = new Set<string>()
  let spec = first
  let ready = false
  let looked = found
  let forgotten = 0
  let built: Built | undefined
  let recorded: string | undefined
  let applied: Applied = { filters: undefined, destinations: new Set(), gateways: new Set(), addresses: new Map() }

  /** What is there already, once per process. */
  const look = async () => {
    await ensureNamespace(number, names, looked)
    looked = true
    await installGuard(namespace, names)
    const routes = await ipJson<ListedRoute>(
      names.infrastructure,
      "-4",
      "route",
      "show",
      "dev",
      infrastructureDevice(number),
    )
    const addresses = await ipJson<ListedAddress>(namespace, "-4", "addr", "show", "dev", gatewayDevice)
    const taps = await ipJson<ListedRoute & { dev?: string }>(namespace, "-4", "route", "show")
    const links = await linkNames(namespace)
    // Of a process that is gone, whose clones are.
    const strays = [...links].filter((name) => name.startsWith(names.parkedPrefix) && !parked.has(name))
    await ipBatchForgiving(
      namespace,
      strays.map((name) => `link del ${name}`),
    )
    // In one go: a port that is made beside this is not to find that it is not plugged.
    plugged.clear()
    for (const name of links) if (name.startsWith(names.tapPrefix)) plugged.add(name)
    applied = {
      filters: undefined,
      destinations: new Set(routes.map((route) => route.dst)),
      gateways: new Set(addresses.flatMap((entry) => entry.addr_info ?? []).flatMap(({ local }) => local ?? [])),
      addresses: new Map(
        taps.filter(({ dev }) => dev?.startsWith(names.tapPrefix)).map(({ dst, dev = "" }) => [dst, dev]),
      ),
    }
  }
  const record = async (text: string) => {
    if (ready && text === recorded) return
    await mkdir(directory, { recursive: true, mode: 0o755 })
    await replaceFile(join(directory, "spec.json"), text)
    recorded = text
  }
  const applyFilters = async () => {
    built = { spec, rules: filtersOf(spec, names, publicCidr, built) }
    const filters = [built.rules, claimsOf(spec, names)]
    const whole = () => filters.map(wholeTransaction).join("")
    const { filters: before } = applied
    const change = before?.map((was, at) => changeTransaction(was, filters[at] ?? was)).join("") ?? whole()
    if (change === "") return
    // Where the kernel's table is not what we left, the change fails as a whole, and the whole mends it.
    await nft(namespace, change).catch(() => nft(namespace, whole()))
    applied.filters = filters
  }
  const applyTransit = async () => {
    const wanted = new Set(transitDestinations(spec))
    const device = infrastructureDevice(number)
    const gone = difference(applied.destinations, wanted)
    await ipBatchForgiving(
      names.infrastructure,
      gone.map((address) => `route del ${address}/32 dev ${device}`),
    )
    const added = difference(wanted, applied.destinations)
    await ipBatch(
      names.infrastructure,
      added.map((address) => `route replace ${address}/32 via ${transit.network} dev ${device} onlink`),
    )
    applied.destinations = wanted
  }
  const applyGateways = async () => {
    const wanted = new Set(spec.subnets.map((subnet) => subnet.gateway))
    const gone = difference(applied.gateways, wanted).map((address) => `addr del ${address}/32 dev ${gatewayDevice}`)
    const added = difference(wanted, applied.gateways).map(
      (address) => `addr replace ${address}/32 dev ${gatewayDevice}`,
    )
    await ipBatch(namespace, [...gone, ...added])
    applied.gateways = wanted
  }
  const wireTaps = async (ports: readonly PortSpec[]) => {
    if (ports.length === 0) return
    const lines = ports.flatMap((port) => tapLines(port, names.tap(port.number)))
    await ipBatch(namespace, lines)
  }
  const applyPorts = async () => {
    const present = spec.ports.filter((port) => plugged.has(names.tap(port.number)))
    const wanted = new Map(
      present.flatMap((port) => addressesOf(port).map(({ address }) => [address, names.tap(port.number)])),
    )
    const gone = [...applied.addresses].filter(([address, tap]) => wanted.get(address) !== tap)
    await ipBatchForgiving(
      namespace,
      gone.flatMap(([address, tap]) => [`route del ${address}/32 dev ${tap}`, `neigh del ${address} dev ${tap}`]),
    )
    const missing = present.filter((port) =>
      addressesOf(port).some(({ address }) => applied.addresses.get(address) !== names.tap(port.number)),
    )
    await wireTaps(missing)
    applied.addresses = wanted
  }
  const ensure = async (wanted: NetworkSpec) => {
    const text = JSON.stringify(wanted)
    spec = wanted
    if (!ready) {
      await record(text)
      await look()
    }
    const applyPaths = async () => {
      // Filters first: no route leads anywhere before they hold.
      await applyFilters()
      await applyTransit()
      await applyGateways()
      await applyPorts()
      if (!ready) await dhcp.ensure(spec)
    }
    // What stands already is found by its old record as well, and may be told of a port before its path is there.
    const done = await Promise.allSettled([applyPaths(), ...(ready ? [record(text), dhcp.ensure(spec)] : [])])
    for (const each of done) if (each.status === "rejected") throw each.reason
    ready = true
  }
  return {
    get spec() {
      return spec
    },
    ensure,
    async mend() {
      ready = false
      await ensure(spec)
    },
    get dhcpDied() {
      return ready && dhcp.died
    },
    mendDhcp: () => dhcp.ensure(spec),
    namespace,
    plugged,
    async wire(port) {
      const tap = names.tap(port.number)
      plugged.add(tap)
      await wireTaps([port])
      for (const { address } of addressesOf(port)) applied.addresses.set(address, tap)
    },
    forget(port) {
      plugged.delete(names.tap(port.number))
      for (const { address } of addressesOf(port)) applied.addresses.delete(address)
      if (++forgotten % 4096 === 0) renewGuard(namespace)
    },
    async remove() {
      await removeNetwork(number, place)
    },
  }
}

/** Remove a network by its number, whatever of it is there. */
export async function removeNetwork(number: number, { names, runDirectory }: NetworkPlace): Promise<void> {
  const namespace = names.network(number)
  const directory = join(runDirectory, "networks", String(number))
  await stopDhcp(directory)
  // The link goes with its routes at once; a namespace's own devices go some time after it.
  await ip(names.infrastructure, "link", "del", infrastructureDevice(number)).catch(() => {})
  await deleteNamespace(namespace)
  await rm(directory, { recursive: true, force: true })
}
