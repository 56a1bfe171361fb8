/** The network engine: isolated routed networks with filtered ports. Knows no cloud. Drivers: `linux/`, `sim/`. */

/** `protocol` "-1" is all; ports are inclusive; for icmp `fromPort` is the type and `toPort` the code, -1 is any. */
export interface Rule {
  readonly protocol: "tcp" | "udp" | "icmp" | "icmpv6" | "-1" | `${number}`
  readonly fromPort?: number
  readonly toPort?: number
  /** IPv4 CIDRs of the other side. */
  readonly cidrs: readonly string[]
  readonly cidrs6: readonly string[]
  /** Groups whose members (their private addresses) are the other side. */
  readonly groups: readonly string[]
}

export interface Group {
  readonly id: string
  /** What may reach a member. */
  readonly ingress: readonly Rule[]
  /** What a member may reach. */
  readonly egress: readonly Rule[]
}

export interface Subnet {
  readonly id: string
  readonly cidr: string
  /** First address: the router's. */
  readonly gateway: string
  /** True when its route table has a default route to the internet gateway. */
  readonly internet: boolean
}

/** What DHCP says besides addresses and routers. */
export interface DhcpOptions {
  /** Domains to search, the first of them the client's own. */
  readonly domainNames: readonly string[]
  /** Addresses; "resolver" stands for the network's own. */
  readonly nameServers: readonly string[]
  readonly ntpServers: readonly string[]
  readonly netbiosNameServers: readonly string[]
  /** 1, 2, 4 or 8 (RFC 2132, 8.7). */
  readonly netbiosNodeType?: number
}

export interface NetworkSpec {
  readonly id: string
  /** Unique in the home, 1..4095: names devices and tables. */
  readonly number: number
  readonly cidr: string
  readonly subnets: readonly Subnet[]
  readonly groups: readonly Group[]
  readonly ports: readonly PortSpec[]
  /** What DHCP hands out, beside the network's own resolver, where `dhcp` is missing. */
  readonly domainName: string
  readonly dhcp?: DhcpOptions
  /** Whether the network's resolver answers nobody ("off"), or all but names of ports ("no-port-names"). Missing: it knows all. */
  readonly resolver?: "off" | "no-port-names"
}

/** A private address, and the public one that stands for it outside. */
export interface HeldAddress {
  readonly address: string
  readonly publicAddress?: string
}

export interface PortSpec {
  readonly id: string
  /** Unique in the home, 1..4194303: its infrastructure address is 100.64.0.0 + number, its tap is named by it. */
  readonly number: number
  readonly subnet: string
  readonly mac: string
  readonly address: string
  /** Host name for DHCP ("ip-172-31-0-11"), and the name that its address has. */
  readonly hostName: string
  /** Labels by which its address is found, besides that of the address itself ("ip-172-31-0-11"). */
  readonly names?: readonly string[]
  readonly publicAddress?: string
  /** Further addresses of its subnet, which its guest sets up itself. */
  readonly secondary?: readonly HeldAddress[]
  readonly groups: readonly string[]
  /** Drop packets whose source is not the port's own address. */
  readonly checkSource: boolean
}

export interface PortHandle {
  readonly device: string
  /** Where the tap stands until it is plugged: an empty namespace of the guest's own. */
  readonly namespace: string
  readonly mtu: number
}

export interface TapPlace {
  readonly device: string
  readonly namespace: string
}

export interface NetworkEngine {
  readonly name: "linux" | "sim"
  /** Infrastructure: namespace, link to the host, forwarding, masquerade. Idempotent; mends drift. */
  up(): Promise<void>
  /** Networks that exist, found again after a crash. */
  list(): Promise<readonly { readonly id: string; readonly ports: readonly string[] }[]>
  /**
   * Make the network be exactly as said: router namespace, DHCP, resolver and metadata paths, filters of groups, addresses.
   * Idempotent and atomic per change (one nft transaction). Ports are filtered and routed from the moment they are plugged.
   */
  ensureNetwork(spec: NetworkSpec): Promise<void>
  removeNetwork(id: string): Promise<void>
  /** Make the tap, owned by `uid`, in the guest's own empty namespace. Idempotent; a plugged port stays where it is. */
  createPort(network: string, port: PortSpec, uid: number): Promise<PortHandle>
  /**
   * Move the opened tap into the network, where it is down and nothing leads to it until it is plugged; also beside a change of the
   * network, which need not know of the port yet. Idempotent. `from`: the tap of a port that was not created, another's until now; it
   * becomes the port's.
   */
  bringPort(network: string, port: PortSpec, from?: TapPlace): Promise<void>
  /**
   * Put a tap that will be some port's into the network and give where it stands then: it is down there, and no packet passes. `bringPort`
   * from there costs milliseconds, where a move between namespaces has all others of this host wait for some 20.
   */
  parkTap(network: string, from: TapPlace): Promise<TapPlace>
  /** Remove a tap that was parked and is no port's. Idempotent. */
  dropTap(parked: TapPlace): Promise<void>
  /** Let packets pass through the tap, which is moved into the network first where it was not brought. Idempotent. */
  plugPort(network: string, portId: string, from?: TapPlace): Promise<void>
  /**
   * Remove tap and guest namespace. Idempotent. `number`, the port's own, finds what a process that is gone made for a port that no
   * network's specification names any more.
   */
  removePort(network: string, portId: string, number?: number): Promise<void>
  /** Packets outside of open connections that the filters dropped and passed, for tests and reports. */
  portCounters(network: string, portId: string): Promise<{ readonly passed: number; readonly dropped: number }>
  /**
   * Those of a network's ports behind which somebody answers ARP with the port's own card and address, asked now and at once; a port
   * that is not plugged does not. Within 3 s for every 200 ports. Nobody answers in a network that is not there.
   */
  answering(network: string, ports: readonly string[]): Promise<ReadonlySet<string>>
  /** Remove everything this home made on the host, byte for byte. */
  down(): Promise<void>
  /** The infrastructure namespace in which metadata and DNS listen, or undefined on sim. */
  readonly infrastructureNamespace: string | undefined
  close(): Promise<void>
}
