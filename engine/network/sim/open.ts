/** The network engine in memory: it keeps and refuses what the real one does, and moves no packet. Ends with its process. */
import { overlaps, parseCidr } from "../addresses.ts"
import type { NetworkEngine, NetworkSpec, PortHandle, PortSpec } from "../types.ts"
import { checkAgainst, checkIdentifier, checkNetwork, checkPort } from "../validate.ts"

export interface SimNetworkOptions {
  readonly publicCidr: string
}

interface SimNetwork {
  spec: NetworkSpec
  readonly plugged: Set<string>
}

/** Open an empty simulated engine. Throws when `publicCidr` is none. */
export async function openSimNetwork({ publicCidr }: SimNetworkOptions): Promise<NetworkEngine> {
  const pool = parseCidr(publicCidr)
  if (overlaps(pool, parseCidr("127.0.0.0/8"))) throw new Error(`${publicCidr} is no public pool`)
  const networks = new Map<string, SimNetwork>()
  const taps = new Map<string, PortSpec>()

  const find = (id: string): SimNetwork => {
    const network = networks.get(id)
    if (network === undefined) throw new Error(`no network ${id}`)
    return network
  }
  const require = (network: SimNetwork, portId: string): PortSpec => {
    const port = network.spec.ports.find((port) => port.id === portId)
    if (port === undefined) throw new Error(`${portId} is no port of ${network.spec.id}: say so by ensureNetwork first`)
    return port
  }

  return {
    name: "sim",
    infrastructureNamespace: undefined,
    up: async () => {},
    list: async () =>
      [...networks.values()].map(({ spec }) => ({ id: spec.id, ports: spec.ports.map((port) => port.id) })),
    async ensureNetwork(spec) {
      checkNetwork(spec)
      checkAgainst(
        spec,
        [...networks.values()].map((network) => network.spec),
        publicCidr,
      )
      const known = networks.get(spec.id)
      if (known === undefined) networks.set(spec.id, { spec: structuredClone(spec), plugged: new Set() })
      else known.spec = structuredClone(spec)
    },
    async removeNetwork(id) {
      checkIdentifier("network", id)
      networks.delete(id)
    },
    async createPort(id, port, uid): Promise<PortHandle> {
      const network = find(id)
      checkPort(
        port,
        network.spec.subnets.find((subnet) => subnet.id === port.subnet),
      )
      if (!Number.isInteger(uid) || uid < 0) throw new Error(`not a uid: ${uid}`)
      taps.set(port.id, structuredClone(port))
      return { device: `sim${port.number}`, namespace: `sim-g${port.number}`, mtu: 9001 }
    },
    async bringPort(id, port) {
      find(id)
      taps.set(port.id, structuredClone(port))
    },
    async parkTap(id, from) {
      find(id)
      return from
    },
    dropTap: async () => {},
    async plugPort(id, portId) {
      const network = find(id)
      require(network, portId)
      if (!taps.has(portId)) throw new Error(`port ${portId} was not created`)
      network.plugged.add(portId)
    },
    async removePort(id, portId) {
      taps.delete(portId)
      networks.get(id)?.plugged.delete(portId)
    },
    async portCounters(id, portId) {
      require(find(id), portId)
      return { passed: 0, dropped: 0 }
    },
    answering: async (id, ports) => new Set(ports.filter((port) => networks.get(id)?.plugged.has(port))),
    async down() {
      networks.clear()
      taps.clear()
    },
    close: async () => {},
  }
}
