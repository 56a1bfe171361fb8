/** What a guest is told that starts as a clone: the same that the metadata service and DHCP tell one that boots. */
import type { Identity } from "#engine/hypervisor/types.ts"
import { formatAddress, parseCidr } from "#engine/network/addresses.ts"
import type { GuestSpec, NetworkAssignment } from "../protocol/types.ts"
import type { World } from "./world.ts"

/**
 * Keys of #cloud-config that say who may log in and by which host keys: a clone has its login user and host key before cloud-init reads
 * them. https://docs.cloud-init.io/en/22.4/topics/modules.html
 */
const loginKeys = /^(users?|system_info|ssh_(keys|deletekeys|genkeytypes)|disable_root)[ \t]*:/m

/**
 * Why a guest of a whole distribution boots, for what its user-data may say to cloud-init: what else it runs later, as on any first boot.
 * A script or a plain #cloud-config can be looked into; an archive, a template or an address may hold anything.
 */
export function bootsFor(userData: Uint8Array): string | undefined {
  if (userData.length === 0) return undefined
  const text = Buffer.from(userData).toString("latin1")
  if (text.startsWith("#!")) return undefined
  if (!text.startsWith("#cloud-config\n")) return "its user-data are neither a script nor #cloud-config"
  // Quoted keys and YAML in braces are not looked into.
  const plain = text.split("\n").every((line) => /^([a-z_]+[ \t]*:|[ \t#-]|\r?$)/.test(line))
  return plain && !loginKeys.test(text) ? undefined : "its user-data may say who logs in"
}

/** What a DHCP client would write to /etc/resolv.conf. */
function resolverText({ cidr, dhcp, domainName }: NetworkAssignment): string {
  const own = formatAddress(parseCidr(cidr).first + 2)
  const { domainNames, nameServers } = dhcp ?? { domainNames: [domainName], nameServers: ["resolver"] }
  const servers = nameServers.map((server) => `nameserver ${server === "resolver" ? own : server}\n`)
  return `${domainNames.length > 0 ? `search ${domainNames.join(" ")}\n` : ""}${servers.join("")}`
}

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
  // What the agent in the guest takes.
  if (hostName.length > 64) return "its host name is too long for one that is not told by DHCP"
  const { ntpServers = [], netbiosNameServers = [], netbiosNodeType } = network.dhcp ?? {}
  if (ntpServers.length + netbiosNameServers.length > 0 || netbiosNodeType !== undefined)
    return "its DHCP options tell more than names"
  const { cidr, gateway } = subnet
  return {
    hostName,
    authorizedKey: metadata.tree["meta-data/public-keys/0/openssh-key"]?.trim() ?? "",
    address: first.port.address,
    prefixLength: Number(cidr.slice(cidr.indexOf("/") + 1)),
    gateway,
    resolver: resolverText(network),
    userData: Buffer.from(metadata.userData ?? "", "base64"),
  }
}
