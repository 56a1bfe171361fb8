/** The path that a packet takes between two guests, without us: a veth, a router namespace that tracks connections, a veth. */
import { insideMtu } from "#engine/network/linux/names.ts"
import {
  addNamespace,
  deleteNamespace,
  ip,
  ipBatch,
  nft,
  quietSysctls,
  sysctl,
} from "#engine/network/linux/namespaces.ts"

export interface Path {
  readonly client: string
  readonly server: string
  /** The server's. */
  readonly address: string
}

/** Both ends and the router; names start with `prefix`. `close` removes them. */
export async function openBarePath(prefix: string): Promise<Path & { close(): Promise<void> }> {
  const [router, client, server] = [`${prefix}r`, `${prefix}c`, `${prefix}s`]
  const ends = [
    { namespace: client, address: "172.31.0.11" },
    { namespace: server, address: "172.31.0.12" },
  ]
  const close = async () => {
    for (const name of [client, server, router]) await deleteNamespace(name)
  }
  try {
    await addNamespace(router)
    await sysctl(router, { ...quietSysctls, "net.ipv4.ip_forward": 1 })
    // One rule that asks for the state of a connection is what makes the kernel track them.
    const chain = "chain forward {\n type filter hook forward priority filter\n ct state established accept\n }"
    await nft(router, `table inet bare {\n ${chain}\n}\n`)
    await ipBatch(router, [
      "link set lo up",
      "link add gateways type bridge",
      "addr add 172.31.0.1/32 dev gateways",
      "link set gateways up",
    ])
    for (const [index, { namespace, address }] of ends.entries()) {
      await addNamespace(namespace)
      const device = `end${index}`
      await ip(router, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", namespace)
      await sysctl(router, { [`net.ipv4.conf.${device}.proxy_arp`]: 1, [`net.ipv4.neigh.${device}.proxy_delay`]: 0 })
      await ipBatch(router, [`link set ${device} mtu ${insideMtu} up`, `route add ${address}/32 dev ${device}`])
      await ipBatch(namespace, [
        "link set lo up",
        `addr add ${address}/20 dev eth0`,
        `link set eth0 mtu ${insideMtu} up`,
        "route add default via 172.31.0.1",
      ])
    }
    return { client, server, address: "172.31.0.12", close }
  } catch (error) {
    await close()
    throw error
  }
}
