/** The one namespace between all networks and the host: metadata and DNS listen in it, public addresses are routed by it. */
import { metadataAddress, type Link, type Names, insideMtu, resolverAddress, transit } from "./names.ts"
import { keepTable } from "./kept.ts"
import { addNamespace, ip, ipBatch, ipJson, quietSysctls, sysctl, type Namespace } from "./namespaces.ts"

/**
 * What one guest may send to metadata and names together, as on AWS
 * (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-network-bandwidth.html), and how often it may knock.
 */
const limits = { packetsPerSecond: 1024, connectionsPerSecond: 100, burst: 300 }

/** Stateless but for our own questions to the host's resolvers: the networks track connections, and so does the host. */
const filters = (publicCidr: string) => `  set asking { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }
  set knocking { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }
  chain prerouting-raw {
    type filter hook prerouting priority raw
    iifname "n*" ip daddr { ${metadataAddress}, ${resolverAddress} } jump guests
    fib daddr type != local notrack
  }
  chain guests {
    update @asking { ip saddr limit rate over ${limits.packetsPerSecond}/second burst ${limits.packetsPerSecond} packets } drop
    tcp flags & (syn | ack) == syn update @knocking { ip saddr limit rate over ${limits.connectionsPerSecond}/second burst ${limits.burst} packets } drop
    notrack
  }
  chain output-raw {
    type filter hook output priority raw
    oifname "n*" notrack
  }
  chain input {
    type filter hook input priority filter; policy drop
    iifname "lo" accept
    ct state established,related accept
    iifname "n*" ip saddr 100.64.0.0/10 ip daddr ${metadataAddress} tcp dport 80 accept
    iifname "n*" ip saddr 100.64.0.0/10 ip daddr ${resolverAddress} meta l4proto { tcp, udp } th dport 53 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    iifname "n*" oifname "host" ip saddr ${publicCidr} accept
    iifname { "host", "n*" } oifname "n*" ip daddr ${publicCidr} accept
  }
`

/** A network's device in the infrastructure namespace. */
export const infrastructureDevice = (networkNumber: number) => `n${networkNumber}`

interface ListedLink {
  readonly ifname: string
}

export async function linkNames(namespace: Namespace): Promise<Set<string>> {
  return new Set((await ipJson<ListedLink>(namespace, "link", "show")).map((link) => link.ifname))
}

/** Make the infrastructure namespace and its half of the link to the host. Idempotent; mends what is missing. */
export async function ensureInfrastructure(
  host: Namespace,
  names: Names,
  publicCidr: string,
  link: Link,
): Promise<void> {
  const namespace = names.infrastructure
  await addNamespace(namespace, true)
  await sysctl(namespace, {
    ...quietSysctls,
    "net.ipv4.ip_forward": 1,
    // A network may only send from addresses that are routed to it.
    "net.ipv4.conf.default.rp_filter": 1,
    // Metadata and DNS listen on 80 and 53 without privileges.
    "net.ipv4.ip_unprivileged_port_start": 0,
  })
  await keepTable(namespace, "inet fractus", filters(publicCidr))
  if (!(await linkNames(namespace)).has("host")) {
    await ip(host, "link", "del", names.hostDevice).catch(() => {})
    await ip(host, "link", "add", names.hostDevice, "type", "veth", "peer", "name", "host", "netns", namespace)
  }
  await ipBatch(namespace, [
    "link set lo up",
    `addr replace ${metadataAddress}/32 dev lo`,
    `addr replace ${resolverAddress}/32 dev lo`,
    `addr replace ${transit.infrastructure}/32 dev lo`,
    `addr replace ${link.infrastructure}/30 dev host`,
    `link set host mtu ${insideMtu} up`,
    `route replace default via ${link.host} dev host`,
    // A public address that nobody has must not go back to the host, which would send it here again.
    `route replace blackhole ${publicCidr} metric 4096`,
  ])
}
