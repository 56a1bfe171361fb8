/** What a guest is told that starts as a clone: the same that the metadata service and DHCP tell one that boots. */
import type { Identity } from "#engine/hypervisor/types.ts"
import { formatAddress, parseCidr } from "#engine/network/addresses.ts"
import type { GuestSpec } from "../protocol/types.ts"
import type { World } from "./world.ts"

/** The identity, or why this guest has to find out by itself. */
export function identityOf(wish: GuestSpec, world: Pick<World, "entry">): Identity | string {
  const { metadata, ports } = wish
  if (!metadata.enabled) return "its metadata service is off"
  const [first, ...others] = ports
  if (!first || others.length > 0) return `a guest with ${ports.length} interfaces finds out about them`
  const network = world.entry(first.network)?.wish
  const subnet = network?.kind === "network" ? network.subnets.find(({ id }) => id === first.port.subnet) : undefined
  if (network?.kind !== "network" || !subnet) return "its network is not known"
  const hostName = metadata.tree["meta-data/local-hostname"]
  if (hostName === undefined) return "its metadata has no host name"
  const { cidr, gateway } = subnet
  return {
    hostName,
    authorizedKey: metadata.tree["meta-data/public-keys/0/openssh-key"]?.trim() ?? "",
    address: first.port.address,
    prefixLength: Number(cidr.slice(cidr.indexOf("/") + 1)),
    gateway,
    resolver: `search ${network.domainName}\nnameserver ${formatAddress(parseCidr(network.cidr).first + 2)}\n`,
    userData: Buffer.from(metadata.userData ?? "", "base64"),
  }
}
