/** What the root side accepts as an assignment: every field, its form and its range. No path is ever taken from the peer. */
import type { HeldAddress, Rule, Subnet } from "#engine/network/types.ts"
import type {
  Assignment,
  CpuAccount,
  DhcpOptions,
  Group,
  GroupAssignment,
  GuestSpec,
  MetadataDocument,
  TemporaryText,
  NetworkAssignment,
  PortSpec,
  SnapshotAssignment,
  SnapshotSpec,
  Spec,
  TemplateAssignment,
  VolumeAssignment,
  WarmKind,
} from "../protocol/types.ts"
import {
  address,
  byKind,
  cidr,
  decimal,
  flag,
  list,
  oneOf,
  optional,
  record,
  shape,
  text,
  whole,
  type Check,
} from "./checks.ts"

export const id = text(/^[a-z0-9][a-z0-9-]*$/, 64)
export const generation = whole(0, Number.MAX_SAFE_INTEGER)
const counter = whole(0, Number.MAX_SAFE_INTEGER)
const hostName = text(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i, 63)
const domainName = text(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, 253)
const mac = text(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/, 17)

/** Guests' uids end here, below those of the home's own services (see slots.ts). */
export const maxGuestNumber = 9_899

const port: Check<PortSpec> = shape<PortSpec>({
  id,
  number: whole(1, 0x3fffff),
  subnet: id,
  mac,
  address,
  hostName,
  names: optional(list(hostName, 16)),
  publicAddress: optional(address),
  secondary: optional(list(shape<HeldAddress>({ address, publicAddress: optional(address) }), 63)),
  groups: list(id, 16),
  checkSource: flag,
})

const protocol: Check<Rule["protocol"]> = (value, at) => {
  const known = oneOf("tcp", "udp", "icmp", "icmpv6", "-1")
  return /^(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/.test(String(value))
    ? `${whole(0, 255)(Number(value), at)}`
    : known(value, at)
}

const rule: Check<Rule> = shape<Rule>({
  protocol,
  fromPort: optional(whole(-1, 65_535)),
  toPort: optional(whole(-1, 65_535)),
  cidrs: list(cidr(4), 1_000),
  cidrs6: list(cidr(6), 1_000),
  groups: list(id, 1_000),
})

const group: Check<Group> = shape<Group>({ id, ingress: list(rule, 1_000), egress: list(rule, 1_000) })

const subnet: Check<Subnet> = shape<Subnet>({ id, cidr: cidr(4), gateway: address, internet: flag })

const metadata: Check<MetadataDocument> = shape<MetadataDocument>({
  guest: id,
  enabled: flag,
  tokens: oneOf("optional", "required"),
  hopLimit: whole(1, 64),
  tree: record(text(/^[a-z][\x21-\x7e]*$/i, 512), text(/^[^]*$/, 65_536), 4_096),
  temporary: optional(
    list(
      shape<TemporaryText>({
        path: text(/^[a-z][\x21-\x7e]*$/i, 512),
        text: text(/^[^]*$/, 8_192),
        untilMs: whole(0, Number.MAX_SAFE_INTEGER),
      }),
      64,
    ),
  ),
  // 16 KiB of user-data are 21,848 characters of base64.
  userData: optional(text(/^[A-Za-z0-9+/]*={0,2}$/, 21_848)),
  domainName,
})

const guest: Check<GuestSpec> = shape<GuestSpec>({
  kind: oneOf("guest"),
  power: oneOf("on", "off"),
  starts: counter,
  resets: counter,
  force: flag,
  hibernate: optional(flag),
  number: whole(0, maxGuestNumber),
  architecture: oneOf("x86_64", "arm64"),
  vcpus: whole(1, 1_024),
  memoryMiB: whole(1, 1 << 25),
  cpuQuotaPercent: optional(whole(1, 102_400)),
  cpuAccount: optional(
    shape<CpuAccount>({
      perHour: decimal(0, 61_440),
      most: decimal(0, 1_474_560),
      atStart: decimal(0, 30_720),
      keptMs: whole(0, 366 * 86_400_000),
      surplus: flag,
    }),
  ),
  uuid: text(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 36),
  image: id,
  disks: list(
    shape<GuestSpec["disks"][number]>({
      volume: id,
      serial: text(/^[A-Za-z0-9-]*$/, 20),
      deviceName: text(/^(\/dev\/)?[a-z0-9]+$/, 32),
      bootIndex: optional(whole(0, 255)),
    }),
    64,
  ),
  ports: list(shape<GuestSpec["ports"][number]>({ network: id, port }), 16),
  metadata,
  machineVersion: optional(text(/^[a-z0-9][a-z0-9.-]*$/, 32)),
  afterCrash: optional(oneOf("restart", "stay")),
})

const dhcpOptions = shape<DhcpOptions>({
  domainNames: list(domainName, 16),
  nameServers: list((value, at) => (value === "resolver" ? value : address(value, at)), 4),
  ntpServers: list(address, 4),
  netbiosNameServers: list(address, 4),
  netbiosNodeType: optional(whole(1, 8)),
})

const network: Check<NetworkAssignment> = shape<NetworkAssignment>({
  kind: oneOf("network"),
  id,
  number: whole(1, 4_095),
  cidr: cidr(4),
  subnets: list(subnet, 1_000),
  domainName,
  dhcp: optional(dhcpOptions),
  resolver: optional(oneOf("off", "no-port-names")),
})

/** Of a warm template. */
const kindOfGuest = {
  image: id,
  snapshot: optional(id),
  sizeBytes: optional(whole(1, 2 ** 50)),
  vcpus: whole(1, 255),
  memoryMiB: whole(8, 1 << 22),
}
export const warmKind: Check<WarmKind> = shape<WarmKind>(kindOfGuest)

/** One source, under its own name. */
const from: Check<SnapshotSpec["from"]> = (value, at) => {
  const name = ["volume", "snapshot", "image"].find(
    (each) => typeof value === "object" && value !== null && each in value,
  )
  const given = record(oneOf(name ?? "volume"), id, 1)(value, at)
  return given as SnapshotSpec["from"]
}
const snapshot = { id, from, key: optional(id) }

const spec: Check<Spec> = byKind<Spec>({
  guest,
  network,
  group: shape<GroupAssignment>({ kind: oneOf("group"), network: id, group }),
  volume: shape<VolumeAssignment>({
    kind: oneOf("volume"),
    id,
    sizeBytes: whole(1, 2 ** 50),
    image: optional(id),
    snapshot: optional(id),
    key: optional(id),
  }),
  snapshot: shape<SnapshotAssignment>({
    kind: oneOf("snapshot"),
    ...snapshot,
    set: list(shape<SnapshotSpec>(snapshot), 64),
    guest: optional(id),
    atRest: optional(flag),
  }),
  template: shape<TemplateAssignment>({
    kind: oneOf("template"),
    ...kindOfGuest,
    pool: optional(whole(0, 1_000)),
  }),
})

/** A spec belongs to the resource that it names. */
export const assignment: Check<Assignment> = (value, at) => {
  const given = shape<Assignment>({ resource: id, generation, spec })(value, at)
  const named = nameOf(given.spec)
  if (named !== undefined) oneOf(given.resource)(named, `${at}.spec.id`)
  return given
}

export const change = (value: unknown, at: string): Omit<Assignment, "spec"> & { readonly spec?: Spec } => {
  const absent = typeof value === "object" && value !== null && !("spec" in value)
  return absent ? shape<Omit<Assignment, "spec">>({ resource: id, generation })(value, at) : assignment(value, at)
}

function nameOf(spec: Spec): string | undefined {
  if (spec.kind === "guest" || spec.kind === "template") return undefined
  return spec.kind === "group" ? spec.group.id : spec.id
}
