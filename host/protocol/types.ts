/**
 * Control plane to host, as a protocol: assignments down, observations up, a few verbs. The same over memory and over the
 * 0600 unix socket (one JSON value a line). Imported as types by `cloud/` and `services/`; it is all they know of hosts.
 */
import type { Architecture, GuestAgent } from "#engine/hypervisor/types.ts"
import type { DhcpOptions, Group, NetworkSpec, PortSpec } from "#engine/network/types.ts"
import type { SnapshotSpec, VolumeSpec } from "#engine/storage/types.ts"

/** What the metadata service answers to one guest. A flat tree: "meta-data/ami-id" -> text; directories follow from the keys. */
export interface MetadataDocument {
  readonly guest: string
  readonly enabled: boolean
  /** "required": version 2 only. */
  readonly tokens: "optional" | "required"
  readonly hopLimit: number
  /** Keys without a leading slash, below /latest: "meta-data/ami-id", "dynamic/instance-identity/document". */
  readonly tree: Readonly<Record<string, string>>
  /** What stands in the tree for some time only; texts of one path are its lines. */
  readonly temporary?: readonly TemporaryText[]
  /** Raw user-data, base64; undefined answers 404. */
  readonly userData?: string
  /** Names this guest's resolver answers by itself: the private zone's domain. */
  readonly domainName: string
}

/** Wall time, in milliseconds. */
export interface TemporaryText {
  readonly path: string
  readonly text: string
  readonly untilMs: number
}

/** A guest's document as it is served to one of its interfaces. */
export interface ServedDocument extends MetadataDocument {
  /** The interface's network; its `NetworkDocument` has its names. */
  readonly network: string
}
/** What the metadata service knows of a network. */
export interface NetworkDocument {
  /** Public address -> private address of the interfaces that have one. */
  readonly privateAddresses: Readonly<Record<string, string>>
  /** Label of the private zone -> address, besides the labels that say their address. */
  readonly names?: Readonly<Record<string, string>>
  /** Address -> label, of those that are not called by their address. */
  readonly hostNames?: Readonly<Record<string, string>>
  /** As in `NetworkSpec`. */
  readonly resolver?: NetworkSpec["resolver"]
}

/** What a guest may compute, as an account of credits: minutes of one CPU. Where one is missing, all that `cpuQuotaPercent` allows. */
export interface CpuAccount {
  readonly perHour: number
  /** More is not earned. */
  readonly most: number
  /** Given at each start, and no part of `most`. */
  readonly atStart: number
  /** How long what was earned outlives a stop. */
  readonly keptMs: number
  /** Whether it may go on when nothing is left; what it takes then is counted. Else it gets what it earns. */
  readonly surplus: boolean
}

/** How an account stands, in credits. */
export interface CpuCredits {
  readonly earned: number
  readonly given: number
  readonly surplus: number
  readonly charged: number
  readonly spent: number
  /** Hundredths of a CPU: what is earned, and what may be used now. */
  readonly baselinePercent: number
  readonly limitPercent: number
  /** False where the host can limit no CPU: all is counted and nobody held back. */
  readonly enforced: boolean
}

export interface GuestSpec {
  readonly kind: "guest"
  /** "off" keeps the machine's volumes; the assignment's removal is what ends it. */
  readonly power: "on" | "off"
  /** Counts starts asked for. A guest that left by itself is not started again while this stands still. */
  readonly starts: number
  /** Counts resets asked for. */
  readonly resets: number
  /** With power "off": do not ask the guest, end it. */
  readonly force: boolean
  /** With power "off": keep its memory, so that its next start goes on with it. It stays kept while this stays. */
  readonly hibernate?: boolean
  /** Number unique in the home, from which its uid follows. */
  readonly number: number
  readonly architecture: Architecture
  readonly vcpus: number
  readonly memoryMiB: number
  readonly cpuQuotaPercent?: number
  readonly cpuAccount?: CpuAccount
  readonly uuid: string
  readonly image: string
  readonly disks: readonly {
    readonly volume: string
    readonly serial: string
    readonly deviceName: string
    readonly bootIndex?: number
  }[]
  /** Its network interfaces. The host adds them to the `ports` of their networks: `NetworkSpec` = assignment + ports of all guests. */
  readonly ports: readonly { readonly network: string; readonly port: PortSpec }[]
  readonly metadata: MetadataDocument
  readonly machineVersion?: string
  /** When its process ends and neither the guest nor anybody else asked for that; "restart" if missing. */
  readonly afterCrash?: "restart" | "stay"
}
/**
 * A network without its ports, which come with the guests, and without its groups, which are assignments of their own: so neither
 * a launch nor a rule rewrites the whole network, and two changes never meet in one row. The host puts the `NetworkSpec` together.
 */
export interface NetworkAssignment extends Omit<NetworkSpec, "ports" | "groups"> {
  readonly kind: "network"
}
/** One group of rules of one network. Observed as `PlainStatus`: ready once the network's filters hold it. */
export interface GroupAssignment {
  readonly kind: "group"
  readonly network: string
  readonly group: Group
}
export interface VolumeAssignment extends VolumeSpec {
  readonly kind: "volume"
}
/**
 * A snapshot, of one moment with the others of its set. Observed as `PlainStatus`; what keeps it from being made is final. Until it is there,
 * or cannot be, its volume stays, though nobody else wishes it.
 */
export interface SnapshotAssignment extends SnapshotSpec {
  readonly kind: "snapshot"
  /** All that are made with it, itself among them; none once it was made: it is never made again of what its source has become. */
  readonly set: readonly SnapshotSpec[]
  /** Who writes to its volume. */
  readonly guest?: string
  /** The guest is shut down for the moment, and started again; else it stands still. */
  readonly atRest?: boolean
}
/** A warm template of a kind of guest. Observed as `PlainStatus`; what keeps it from being made is final until a new wish, or for an hour. */
export interface TemplateAssignment extends WarmKind {
  readonly kind: "template"
  /** So many clones of it are kept waiting, as far as the host has memory; none where this is missing. */
  readonly pool?: number
}
export type Spec =
  | GuestSpec
  | NetworkAssignment
  | GroupAssignment
  | VolumeAssignment
  | SnapshotAssignment
  | TemplateAssignment
export type { DhcpOptions, Group, NetworkSpec, PortSpec, SnapshotSpec, VolumeSpec }

export interface Assignment {
  readonly resource: string
  readonly generation: number
  readonly spec: Spec
}

/** Something that keeps a resource from being as it should; the host goes on trying unless `final`. */
export interface Trouble {
  readonly code:
    | "no-capacity"
    | "no-image"
    | "no-key"
    | "no-template"
    | "no-source"
    | "disk-full"
    | "crashed"
    | "internal"
  readonly message: string
  readonly final: boolean
}

/** What is known of a guest that is on. */
export interface GuestChecks {
  /** It answers ARP. Missing: not yet since its start, or since this host found it running. */
  readonly instance?: "passed" | "failed"
  /** With "failed": what its agent does meanwhile, where it has one that listens. */
  readonly agent?: GuestAgent
  /** The disk of this host can be written. */
  readonly system: "passed" | "failed"
}

export interface GuestStatus {
  readonly kind: "guest"
  readonly phase: "absent" | "off" | "starting" | "on" | "stopping"
  /** `starts` of the spec that this phase belongs to. */
  readonly starts: number
  readonly resets: number
  /** Set with "off": who ended it. */
  readonly cause?: "guest-shutdown" | "guest-panic" | "killed" | "requested" | "io-error" | "unknown"
  readonly pid?: number
  readonly machineVersion?: string
  /** Set with "on". */
  readonly checks?: GuestChecks
  /** With "off": its memory is kept. */
  readonly hibernated?: true
  /** With "off": why its memory was not kept, though that was wished. With "on": why it booted, though its memory had been kept. */
  readonly memoryLost?: string
  /** With "off" and "crashed": it stays so until a new wish. */
  readonly trouble?: Trouble
}
export interface PlainStatus {
  readonly kind: "network" | "group" | "volume" | "snapshot" | "template"
  readonly phase: "absent" | "ready" | "pending"
  readonly trouble?: Trouble
}
export type Status = GuestStatus | PlainStatus

export interface Observed {
  readonly resource: string
  /** The generation of the assignment that this is about; 0 when there was none (a leftover being removed). */
  readonly generation: number
  readonly status: Status
}

/** One thing that the host did or said about a resource. Holds no secret: no user-data, no keys. */
export interface TraceEntry {
  /** Wall time at which it began. */
  readonly atMs: number
  /** The generation that was being carried out. */
  readonly generation: number
  /** A wish that came; a pass over the resource, its steps, the engines' calls, their commands; what was reported. */
  readonly level: "wish" | "pass" | "step" | "call" | "command" | "observed"
  readonly what: string
  readonly ms: number
  readonly error?: string
}

/** How one resource stands on the host, and what was done for it lately, oldest first. */
export interface ResourceTrace {
  readonly known: boolean
  readonly generation: number
  /** In words. */
  readonly wished?: string
  readonly observed?: string
  readonly trouble?: Trouble
  /** Of a guest that is on and has an account. */
  readonly credits?: CpuCredits
  readonly waitsFor?: string
  /** Failures in a row; the next try comes by itself. */
  readonly failures: number
  /** Nothing is left to do. */
  readonly settled: boolean
  readonly entries: readonly TraceEntry[]
  /** Older entries that were given up. */
  readonly dropped: number
}

/** What a host says about itself when the control plane connects. */
export interface HostFacts {
  readonly engine: "qemu" | "sim"
  readonly accelerator: "kvm" | "tcg" | "none"
  readonly cpus: number
  readonly memoryMiB: number
  /** Pool of public addresses that this home may hand out. */
  readonly publicCidr: string
  /** Images on this host's disk: id, file facts. */
  readonly images: readonly {
    readonly id: string
    readonly name: string
    readonly architecture: Architecture
    readonly sizeBytes: number
    readonly createdMs: number
  }[]
}

/** A kind of guest that a warm template is asked for. */
export interface WarmKind {
  /** That it boots as. */
  readonly image: string
  /** That its root volume is a copy of, where it is not made of the image. Not encrypted. */
  readonly snapshot?: string
  /** Of its root volume; without, as large as the image. */
  readonly sizeBytes?: number
  readonly vcpus: number
  readonly memoryMiB: number
}
/** "ready": a launch of the kind is a clone. "making": ask again. */
export type WarmAnswer = { readonly state: "ready" | "making" } | { readonly state: "refused"; readonly why: string }

/** What guests take of the host's memory now. */
export interface HostMemory {
  /** `pssBytes`: a page that several share counts in parts. `rssBytes`: whole with each, as if they shared none. */
  readonly guests: readonly { readonly guest: string; readonly pssBytes: number; readonly rssBytes: number }[]
  /** Warm templates in use, kept for the next clones; their pages that guests use are counted there as well. */
  readonly templatesBytes: number
  /** Clones that wait for a launch. Missing where none are kept. `wanted`: how many there should be. */
  readonly pool?: { readonly wanted: number; readonly waiting: number; readonly pssBytes: number }
}

/** The pool as it stands: pids of those that wait. */
export interface PoolState {
  readonly wanted: number
  readonly members: readonly number[]
}

export type SerialAnswer = "accepted" | "taken" | "unavailable"

export interface SerialEndpoint {
  readonly address: string
  /** Of an SSH server. */
  readonly port: number
  /** Of its host key, as ssh-keygen prints it: "SHA256:...". */
  readonly fingerprint: string
}

/** A host as the control plane sees it, in memory or over the socket. */
export interface HostConnection {
  facts(): Promise<HostFacts>
  /** The whole truth: replaces everything the host was told before. Sent on connect. */
  sync(assignments: readonly Assignment[]): Promise<void>
  /** One change. `spec` undefined: the resource should be absent. */
  assign(resource: string, generation: number, spec: Spec | undefined): Promise<void>
  /** Every change of an observation, and all of them after `sync`. Once absent and reported, a resource is forgotten. */
  onObserved(listener: (observed: Observed) => void): void
  /** The end of what the guest wrote to its serial port. Nothing for a guest that has no machine, not yet or no more. */
  consoleOutput(guest: string, maxBytes: number): Promise<Buffer>
  /** What the guest's display shows, as `HypervisorEngine.screenshot` gives it. Rejects for a guest that is not on. */
  screenshot(guest: string, wake: boolean): Promise<Buffer>
  /** A non-maskable interrupt for the guest. Rejects for one that does not run. */
  interrupt(guest: string): Promise<void>
  /**
   * For 60 seconds whoever has this key (a line of authorized_keys) may begin a session at the guest's serial port. "taken": somebody has one;
   * "unavailable": there is no port, or nobody serves it. Missing where guests have none.
   */
  serialKey?(guest: string, key: string): Promise<SerialAnswer>
  /** Where sessions at serial ports begin; null before the first key. */
  serialEndpoint?(): Promise<SerialEndpoint | null>
  processes(): Promise<readonly { readonly name: string; readonly pid: number }[]>
  /** Missing where guests have no processes. */
  memory?(): Promise<HostMemory>
  /** What was done for a resource: bounded, in memory, gone an hour after the resource. */
  trace?(resource: string): Promise<ResourceTrace>
  /** Have a warm template made unless it is there. Answers at once. Missing where guests always boot. */
  warm?(kind: WarmKind): Promise<WarmAnswer>
  /** End the host part; with "stop" all guests and networks too, data stays. Over the socket only. */
  shutdown?(guests: "stop" | "keep"): Promise<void>
  close(): Promise<void>
}
