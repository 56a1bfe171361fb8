import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import type { Clock } from "#lib/clock.ts"
import { parseCidr } from "../addresses.ts"
import type { NetworkEngine, NetworkSpec, PortSpec, TapPlace } from "../types.ts"
import { checkAgainst, checkIdentifier, checkNetwork, checkPort } from "../validate.ts"
import { answersOf, probedAtOnce } from "./answering.ts"
import { sweepDhcp } from "./dhcp.ts"
import { readIfThere } from "./files.ts"
import { readCounters } from "./guard.ts"
import { checkPoolIsFree, ensureHost, foreignRoutes, type HostPart, removeHost } from "./host.ts"
import { ensureInfrastructure } from "./infrastructure.ts"
import { insideMtu, linkOf, namesOf } from "./names.ts"
import { deleteNamespace, namespaces } from "./namespaces.ts"
import { type Network, type NetworkPlace, networkOf, removeNetwork } from "./network.ts"
import { dropTap, makeTap, moveTap, parkTap, type PortKind, removeTap, takeTap } from "./ports.ts"

export interface LinuxNetworkOptions {
  /** "fr0": the start of every name. At most 6 letters and digits. */
  readonly prefix: string
  /** 0..63. */
  readonly slot: number
  /** Public addresses of this home, routed by the host: "198.18.0.0/20". */
  readonly publicCidr: string
  /** On a file system that is empty after a reboot; every directory above it must be open to `uids.dhcp` (mode x). */
  readonly runDirectory: string
  /** Kept for what must outlive a reboot: nothing does, the host's settings are all gone by then too. */
  readonly stateDirectory: string
  readonly uids: { readonly dhcp: number }
  readonly log: (line: string) => void
  readonly clock: Clock
  /** For tests: namespaces as guests instead of taps. */
  readonly portKind?: PortKind
  /** For tests: the namespace that plays the host. */
  readonly hostNamespace?: string
}

const portOf = (network: Network, portId: string) => network.spec.ports.find((port) => port.id === portId)

/** Run what concerns one key one after the other. */
function serial() {
  const tails = new Map<string, Promise<unknown>>()
  return <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const before = tails.get(key) ?? Promise.resolve()
    const result = before.then(work, work)
    const tail = result.catch(() => {}).finally(() => tails.get(key) === tail && tails.delete(key))
    tails.set(key, tail)
    return result
  }
}

const watchMs = 1_000
const longestPauseMs = 60_000

/** A DHCP server that died is started again within a second; one that dies at once, ever more slowly. Returns the stop. */
function watchDhcp(
  networks: ReadonlyMap<string, Network>,
  inTurn: ReturnType<typeof serial>,
  log: (line: string) => void,
): () => void {
  const restarts = new WeakMap<Network, { readonly atMs: number; readonly pauseMs: number }>()
  const look = (id: string, network: Network) => {
    if (!network.dhcpDied) return
    const nowMs = performance.now()
    const last = restarts.get(network)
    if (last !== undefined && nowMs - last.atMs < last.pauseMs) return
    const soon = last === undefined || nowMs - last.atMs > longestPauseMs
    restarts.set(network, { atMs: nowMs, pauseMs: soon ? watchMs : Math.min(longestPauseMs, last.pauseMs * 2) })
    log(`DHCP of ${id} died, starting it again`)
    const mend = inTurn(id, async () => {
      if (networks.get(id) === network && network.dhcpDied) await network.mendDhcp()
    })
    mend.catch((error: unknown) => log(`DHCP of ${id}: ${String(error)}`))
  }
  const timer = setInterval(() => {
    for (const [id, network] of networks) look(id, network)
  }, watchMs)
  timer.unref()
  return () => clearInterval(timer)
}

async function recordedSpecs(runDirectory: string): Promise<NetworkSpec[]> {
  const numbers = await readdir(join(runDirectory, "networks")).catch(() => [])
  const texts = await Promise.all(
    numbers.map((number) => readIfThere(join(runDirectory, "networks", number, "spec.json"))),
  )
  return texts.flatMap((text): NetworkSpec[] => (text === undefined ? [] : [JSON.parse(text)]))
}

/**
 * The network engine on the Linux kernel: one namespace per network as its router, one tap per port, nftables. Needs root
 * and iproute2, nftables, dnsmasq, util-linux, procps. Networks of an earlier process are found again; nothing is changed
 * before the first call. Errors are Errors with the command that failed and what it said.
 */
export async function openLinuxNetwork(options: LinuxNetworkOptions): Promise<NetworkEngine> {
  const { prefix, publicCidr, runDirectory, portKind = "tap", hostNamespace, log } = options
  const names = namesOf(prefix)
  parseCidr(publicCidr)
  if (!Number.isInteger(options.uids.dhcp) || options.uids.dhcp <= 0)
    throw new Error(`no uid for DHCP: ${options.uids.dhcp}`)
  const taken = (await foreignRoutes(hostNamespace, names)).map(({ range }) => range)
  const link = linkOf(options.slot, publicCidr, taken)
  const host: HostPart = { namespace: hostNamespace, names, publicCidr, link, runDirectory }
  /** Names of taps that are no port's yet, and how many there ever were. */
  const parked = new Set<string>()
  let parkedCount = 0
  const place: NetworkPlace = { names, publicCidr, runDirectory, dhcpUid: options.uids.dhcp, parked }
  await mkdir(join(runDirectory, "networks"), { recursive: true, mode: 0o755 })
  const networks = new Map<string, Network>()
  for (const spec of await recordedSpecs(runDirectory)) networks.set(spec.id, networkOf(spec, place, true))
  const inTurn = serial()

  const find = (id: string): Network => {
    const network = networks.get(id)
    if (network === undefined) throw new Error(`no network ${id}`)
    return network
  }
  /** Ports that were made, by id: a port outlives its place in the spec until it is removed. */
  const made = new Map<string, PortSpec>()
  for (const network of networks.values()) for (const port of network.spec.ports) made.set(port.id, port)

  const stopWatch = watchDhcp(networks, inTurn, log)
  let ending = false
  const mustStay = () => {
    if (ending) throw new Error("the networks are being taken down")
  }

  /** What concerns a tap alone goes on beside a change of its network. A network's turn may wait for a port's, never the other way. */
  const inPortsTurn = <T>({ number }: { readonly number: number }, work: () => Promise<T>) =>
    inTurn(`port ${number}`, work)
  /** Taps that stand in their network and are not plugged yet. */
  const brought = new Set<string>()
  const bring = (network: Network, port: PortSpec, from: TapPlace | undefined) =>
    inPortsTurn(port, async () => {
      mustStay()
      made.set(port.id, port)
      const tap = names.tap(port.number)
      if (brought.has(tap) || network.plugged.has(tap)) return
      if (from) await takeTap(port.number, from, network.namespace, names)
      else await moveTap(port.number, network.namespace, names)
      if (from) parked.delete(from.device)
      brought.add(tap)
    })

  return {
    name: "linux",
    infrastructureNamespace: names.infrastructure,
    up: () =>
      inTurn("host", async () => {
        await checkPoolIsFree(host)
        await ensureInfrastructure(hostNamespace, names, publicCidr, link)
        await ensureHost(host)
        const known = new Set([...networks.values()].map((network) => network.namespace))
        for (const name of await namespaces(names.networkPrefix)) {
          if (known.has(name)) continue
          log(`removing ${name}, which no record knows`)
          await removeNetwork(Number(name.slice(names.networkPrefix.length)), place)
        }
        const own = join(runDirectory, "networks")
        const wanted = new Set([...networks.values()].map((network) => join(own, String(network.spec.number))))
        await sweepDhcp(own, (directory) => wanted.has(directory))
        // Nothing that was found before is taken for granted: links, rules and servers of every network are looked at.
        for (const network of networks.values()) await inTurn(network.spec.id, () => network.mend())
      }),
    list: async () =>
      [...networks.values()].map(({ spec }) => ({ id: spec.id, ports: spec.ports.map((port) => port.id) })),
    async ensureNetwork(spec) {
      mustStay()
      checkNetwork(spec)
      checkAgainst(
        spec,
        [...networks.values()].map((network) => network.spec),
        publicCidr,
      )
      const known = networks.get(spec.id)
      const network = known ?? networkOf(spec, place)
      networks.set(spec.id, network)
      await inTurn(spec.id, () => network.ensure(structuredClone(spec)))
      for (const port of network.spec.ports) made.set(port.id, port)
    },
    removeNetwork: (id) =>
      inTurn(id, async () => {
        checkIdentifier("network", id)
        const network = networks.get(id)
        if (network === undefined) return
        await network.remove()
        networks.delete(id)
      }),
    createPort: (id, port, uid) =>
      inPortsTurn(port, async () => {
        mustStay()
        const network = find(id)
        checkPort(
          port,
          network.spec.subnets.find((subnet) => subnet.id === port.subnet),
        )
        if (!Number.isInteger(uid) || uid < 0) throw new Error(`not a uid: ${uid}`)
        made.set(port.id, port)
        const device = names.tap(port.number)
        const handle = { device, namespace: names.guest(port.number), mtu: insideMtu }
        if (!network.plugged.has(device) && !brought.has(device)) await makeTap(port, uid, portKind, names)
        return handle
      }),
    bringPort: async (id, port, from) => bring(find(id), port, from),
    async parkTap(id, from) {
      mustStay()
      const { namespace } = find(id)
      const name = names.parked(parkedCount++)
      // First: a look at the network removes those that nobody knows.
      parked.add(name)
      try {
        return await parkTap(from, namespace, name)
      } catch (error) {
        parked.delete(name)
        throw error
      }
    },
    async dropTap(place) {
      await dropTap(place)
      parked.delete(place.device)
    },
    plugPort: (id, portId, from) =>
      inTurn(id, async () => {
        mustStay()
        const network = find(id)
        const port = portOf(network, portId)
        if (port === undefined) throw new Error(`${portId} is no port of ${id}: say so by ensureNetwork first`)
        if (network.plugged.has(names.tap(port.number))) return
        await bring(network, port, from)
        await network.wire(port)
        brought.delete(names.tap(port.number))
      }),
    removePort: (id, portId, number) =>
      inTurn(id, async () => {
        const network = networks.get(id)
        const port = (network && portOf(network, portId)) ?? made.get(portId)
        const known = port?.number ?? number
        if (known === undefined) return
        await inPortsTurn({ number: known }, async () => {
          await removeTap(known, network?.namespace, names)
          brought.delete(names.tap(known))
        })
        network?.plugged.delete(names.tap(known))
        if (port !== undefined) network?.forget(port)
        if (network === undefined || portOf(network, portId) === undefined) made.delete(portId)
      }),
    async portCounters(id, portId) {
      const network = find(id)
      const port = portOf(network, portId)
      if (port === undefined) throw new Error(`${portId} is no port of ${id}`)
      return await readCounters(network.namespace, names.tap(port.number))
    },
    async answering(id, portIds) {
      const answered: string[] = []
      for (let at = 0; at < portIds.length; at += probedAtOnce) {
        const network = networks.get(id)
        if (network === undefined) break
        const asked = new Set(portIds.slice(at, at + probedAtOnce))
        const wired = () =>
          networks.get(id) !== network
            ? []
            : network.spec.ports
                .filter((port) => asked.has(port.id) && network.plugged.has(names.tap(port.number)))
                .map((port) => ({ ...port, tap: names.tap(port.number) }))
        const taps = await answersOf(network.namespace, wired, (work) => inTurn(id, work))
        for (const port of network.spec.ports)
          if (asked.has(port.id) && taps.has(names.tap(port.number))) answered.push(port.id)
      }
      return new Set(answered)
    },
    down: () =>
      inTurn("host", async () => {
        ending = true
        try {
          // What is under way ends first, nothing begins, and no watch brings back what is taken down.
          await Promise.all([...networks.keys()].map((id) => inTurn(id, async () => {})))
          await Promise.all([...made.values()].map((port) => inPortsTurn(port, async () => {})))
          networks.clear()
          made.clear()
          brought.clear()
          parked.clear()
          for (const name of await namespaces(names.networkPrefix)) {
            await removeNetwork(Number(name.slice(names.networkPrefix.length)), place)
          }
          for (const name of await namespaces(names.guestPrefix)) {
            await removeTap(Number(name.slice(names.guestPrefix.length)), undefined, names)
          }
          await sweepDhcp(join(runDirectory, "networks"), () => false)
          await removeHost(host)
          await deleteNamespace(names.infrastructure)
          await rm(join(runDirectory, "networks"), { recursive: true, force: true })
        } finally {
          ending = false
        }
      }),
    close: async () => stopWatch(),
  }
}
